"""Measure the speed that this project claims, in one run, next to plain loops.

PYTHONPATH=scripts python benchmarks/bench.py            fifty minutes on two cores
PYTHONPATH=scripts python benchmarks/bench.py --quick    about a minute, at sizes too small to count
... --only closed-form               or another part: see PARTS
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Callable, Sequence

import closed_form
import conformations
import corpora
import driver
import generation
import images
import loop_design
import planning
import start_up
import training_step


def installed(what: str, needed: Sequence[str]) -> bool:
    """Tell whether libraries are installed, and print which are missing."""
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        print(f"\n{what}: left out, because {', '.join(missing)} is not installed here")
    return not missing


def language_models(quick: bool) -> list[bool]:
    """Print the cost of training, corpora and generation; return which requirements are met."""
    if not installed("language models", ("torch", "transformers", "tokenizers")):
        return []
    met: list[bool] = training_step.report(quick) + corpora.report(quick)
    generation.report(quick)
    return met


def autoencoders(quick: bool) -> list[bool]:
    """Print the cost of training on images; return which requirements are met."""
    if not installed("images", ("torch", "sklearn")):
        return []
    met: list[bool] = images.report(quick)
    return met


def molecules(quick: bool) -> list[bool]:
    """Print conformations per second, for which there is no requirement."""
    if installed("molecules", ("torch", "rdkit")):
        conformations.report(quick)
    return []


def start(quick: bool) -> list[bool]:
    """Print what steps take to start; return which requirements are met."""
    needed = ("torch", "transformers", "sklearn", "rdkit", "pytest")
    return start_up.report(quick) if installed("start-up", needed) else []


def plan(quick: bool) -> list[bool]:
    """Print the plan of the quick study beside what it takes; return whether it is near enough."""
    needed = ("torch", "transformers", "sklearn", "rdkit")
    return planning.report(quick) if installed("plan", needed) else []


PARTS: dict[str, Callable[[bool], list[bool]]] = {
    "closed-form": closed_form.report,
    "loop-design": loop_design.report,
    "language-models": language_models,
    "images": autoencoders,
    "molecules": molecules,
    "start-up": start,
    "driver": driver.report,
    "plan": plan,
}


def main() -> int:
    """Print all tables; return 1 if a requirement is not met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="run tiny sizes")
    parser.add_argument("--only", choices=PARTS, help="run one part")
    arguments = parser.parse_args()
    chosen = [arguments.only] if arguments.only else list(PARTS)
    met = [passed for part in chosen for passed in PARTS[part](arguments.quick)]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
