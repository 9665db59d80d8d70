"""What this project claims of its speed, measured side by side in one run.

PYTHONPATH=scripts python benchmarks/bench.py            a quarter of an hour on two cores
PYTHONPATH=scripts python benchmarks/bench.py --quick    about a minute, and no claim
... --only closed-form                                   or language-models, images, molecules
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Callable, Sequence

import closed_form
import conformations
import corpora
import generation
import images
import training_step


def installed(what: str, needed: Sequence[str]) -> bool:
    """Tell whether libraries are installed, and say so if they are not."""
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        print(f"\n{what}: left out, for {', '.join(missing)} is not installed here")
    return not missing


def language_models(quick: bool) -> list[bool]:
    """Print what training, corpora and generation cost; return which requirements are met."""
    if not installed("language models", ("torch", "transformers", "tokenizers")):
        return []
    met: list[bool] = training_step.report(quick) + corpora.report(quick)
    generation.report(quick)
    return met


def autoencoders(quick: bool) -> list[bool]:
    """Print what training on images costs; return which requirements are met."""
    if not installed("images", ("torch", "sklearn")):
        return []
    met: list[bool] = images.report(quick)
    return met


def molecules(quick: bool) -> list[bool]:
    """Print conformations in a second; nothing is required of them."""
    if installed("molecules", ("torch", "torch_geometric", "rdkit")):
        conformations.report(quick)
    return []


PARTS: dict[str, Callable[[bool], list[bool]]] = {
    "closed-form": closed_form.report,
    "language-models": language_models,
    "images": autoencoders,
    "molecules": molecules,
}


def main() -> int:
    """Print all tables; return 1 if a requirement is not met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tiny sizes")
    parser.add_argument("--only", choices=PARTS, help="one part")
    arguments = parser.parse_args()
    chosen = [arguments.only] if arguments.only else list(PARTS)
    met = [passed for part in chosen for passed in PARTS[part](arguments.quick)]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
