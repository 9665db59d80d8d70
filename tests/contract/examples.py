"""A tiny experiment of each family, with which `test_family` checks what all families guarantee.

A family that runs in closed form names the kinds of chains it has; one that runs by steps, an
experiment of a few samples, which is trained once and shared among the checks:

python -m contract.examples FAMILY      in the working directory, as jobs do, step by step
"""

from __future__ import annotations

import json
import multiprocessing
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pictures
from collapse import families, job  # noqa: F401  job is first in all jobs, before numpy
from collapse.regimes import NAMED, Regime, mixture
from collapse.study.chain_spec import ChainSpec
from stepping import Loop

SAMPLES, ITERATIONS = 10, 6

#: The file that says which modules each step of an example was the first to import.
IMPORTED = "imported.json"

#: Regimes of every kind, under which chains in closed form are checked.
REGIMES = {
    **NAMED,
    "window": Regime(keep_real=True, memory=2),
    "window without real": Regime(keep_real=False, memory=3),
    "fresh real": Regime(keep_real=False, memory=1, fresh_real="0.5n"),
    "one fresh": Regime(keep_real=False, memory=1, fresh_real=1),
    "mixture": mixture(4, 7),
    "one real": mixture(1, 7),
    "growing": Regime(keep_real=False, memory=1, generate="n*1.3^(t-1)"),
    "shrinking": Regime(keep_real=True, generate="n*0.6^(t-1)"),
    "nothing generated": Regime(keep_real=True, generate=0),
    "some real in a budget": Regime(keep_real=3, budget="n"),
    "window in a budget": Regime(keep_real=True, memory=2, budget="0.5n"),
    "fresh in a budget": Regime(keep_real=False, memory=2, fresh_real="0.5n", budget="n"),
    "growing budget": Regime(keep_real=True, fresh_real=2, budget="0.7tn"),
    "ring": Regime(keep_real=False, memory=1, population={"models": 2, "exchange": "ring"}),
    "population in a budget": Regime(keep_real=True, budget="n", population={"models": 3}),
}


Columns = dict[str, list[Any]]


class Chains(NamedTuple):
    """Parameters of chains in closed form, and the metrics that may be infinite with them."""

    parameters: Mapping[str, Any]
    infinite: tuple[str, ...] = ()


class Damaged(NamedTuple):
    """The name of real data, and a damaged file of it."""

    data: str
    file: str
    content: bytes


@dataclass(frozen=True, kw_only=True)
class Example:
    """What the checks run of a family.

    Attributes
    ----------
    chains : sequence of Chains
        The kinds of chains in closed form.
    steps : mapping
        Keys of an experiment of two iterations that runs by steps.
    files : callable
        Writes what the experiment reads into the working directory.
    imports : mapping of str to tuple of str
        The libraries, of `test_family.OF_STEPS`, that each step imports and none before it did.
    builds_on : str or None
        Another family, whose modules this one imports.
    unknown : sequence of str
        Metrics that may be missing: of so small a model, or of a chain that has not got so far.
    rounding : float
        Relative difference of metrics that are evaluated at other iterations.
    distinct : float
        Share of the samples, at least, that are no copies of others.
    damaged : Damaged or None
        Real data that can't be read, of a family that has a data set.
    worse : mapping of str to callable
        Of each score, what makes a sample worse: takes and returns a column of samples, by name.
    selected_by : str
        The score by which the checks select samples that are written by steps.
    """

    chains: tuple[Chains, ...] = ()
    steps: Mapping[str, Any] = field(default_factory=dict)
    files: Callable[[], object] = lambda: None
    imports: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    builds_on: str | None = None
    unknown: tuple[str, ...] = ()
    rounding: float = 0.0
    distinct: float = 0.9
    damaged: Damaged | None = None
    worse: Mapping[str, Callable[[Columns], Columns]] = field(default_factory=dict)
    selected_by: str = ""

    @property
    def libraries(self) -> set[str]:
        """What has to be installed; checks of steps are skipped where it is not."""
        return {name for names in self.imports.values() for name in names}


def _changed(name: str, change: Callable[[Any], Any]) -> Callable[[Columns], Columns]:
    """Return the function that changes every entry of a column."""
    return lambda columns: {**columns, name: [change(each) for each in columns[name]]}


#: Stories and pairs are no sentences backwards, and shorter by half; likewise unlikely.
BACKWARDS = _changed("text", lambda text: text[::-1])
WORSE_TEXTS = {
    "log_likelihood": _changed("tokens", lambda tokens: tokens[::-1]),
    "length": _changed("tokens", lambda tokens: tokens[: len(tokens) // 2]),
}
#: Differences from the model's mean that are ten times as large.
FARTHER = _changed("difference", lambda values: [10 * value for value in values])

#: Atoms that are three times as far apart.
FAR_APART = _changed("positions", lambda places: [3 * each for each in places])

#: transformers imports torch's compiler, and with it the parts for ranks, which no step needs.
LANGUAGE_MODEL = ("torch", "torch._dynamo", "torch.distributed.fsdp", "transformers")

EXAMPLES = {
    "gaussian": Example(
        chains=(
            Chains({"dimension": 3}),
            Chains({"dimension": 20}, infinite=("log_determinant_ratio",)),
        ),
        steps={"samples": 20, "grid": {"dimension": [5]}},
        # A subset of a pool may have no spread at all in some direction.
        unknown=("squared_step_of_mean",),
        worse=dict.fromkeys(("distance", "reward", "log_density"), FARTHER),
        selected_by="distance",
    ),
    "linear_regression": Example(
        chains=(
            Chains({"dimension": 3}),
            Chains({"dimension": 15, "design": "fresh"}),
            Chains({"dimension": 15}),
        ),
        unknown=("noise_estimate",),
    ),
    "kernel_density": Example(
        chains=(
            Chains({"dataset": "blobs", "bandwidth": 0.5}),
            Chains({"dataset": "moons", "bandwidth": "scott-scaled"}),
            Chains({"dataset": "swiss_roll", "kernel": "tophat", "bandwidth": 5.0}, ("test_nll",)),
        ),
        # Densities at test points are then summed in other portions, in single precision.
        rounding=1e-5,
    ),
    "discrete": Example(
        chains=(
            Chains({"outcomes": 4, "cap": 500}),
            Chains({"outcomes": 3, "probabilities": [0.7, 0.2, 0.1], "cap": 500}),
        ),
        unknown=("iterations_to_collapse",),
    ),
    "logistic_regression": Example(
        chains=(
            Chains({"dimension": 2}),
            Chains({"dimension": 1, "design": "fresh"}),
            Chains({"dataset": "diabetes"}),
        ),
        unknown=("squared_error_of_weights",),
    ),
    "poisson_regression": Example(
        chains=(Chains({"dimension": 2}), Chains({"dimension": 12, "design": "fresh"})),
    ),
    "language_model": Example(
        steps={"samples": 40, "settings": {
            "documents": 200, "test_documents": 50, "vocabulary": 400, "context": 128,
            "curve_points": 3, "judged": 30,
        }},
        imports={"prepare": ("tokenizers",), "train": LANGUAGE_MODEL},
        unknown=("mode_distance", "mode_distance_of_data"),
        damaged=Damaged("damaged.jsonl", "damaged.jsonl", b'{"text": "cut'),
        worse={**WORSE_TEXTS, "grammatical": BACKWARDS},
        selected_by="log_likelihood",
    ),
    "fine_tuning": Example(
        steps={"samples": 40, "settings": {
            "pairs": 100, "test_pairs": 40, "base_stories": 100, "vocabulary": 400, "batch": 8,
            "epochs": 8.0, "learning_rate": 3e-3, "curve_points": 3, "judged": 20,
        }},
        imports={"prepare": ("tokenizers",), "train": LANGUAGE_MODEL},
        builds_on="language_model",
        unknown=("correct_share", "mode_distance", "mode_distance_of_data"),
        damaged=Damaged("damaged.jsonl", "damaged.jsonl", b'{"prompt": "cut'),
        worse={**WORSE_TEXTS, "correct": BACKWARDS},
        selected_by="length",
    ),
    "vae": Example(
        steps={"samples": 60, "settings": {
            "data": "images", "epochs": 4.0, "batch": 16, "latent": 4, "curve_points": 3,
        }},
        files=lambda: pictures.folder(Path("images"), train=80, test=30, classes=("a", "b")),
        imports={"prepare": ("sklearn", "pandas", "scipy", "scipy.stats"), "train": ("torch",)},
        damaged=Damaged("images", "images/train/b/0003.png", b"\x89PNG\r\n\x1a\n cut"),
        # Pixels that are all the same have no class, and those of a negative no mode nearby.
        worse={
            "confidence": _changed("image", lambda pixels: bytes([128] * len(pixels))),
            "distance": _changed("image", lambda pixels: bytes(255 - each for each in pixels)),
        },
        selected_by="distance",
    ),
    "molecule_diffusion": Example(
        steps={"samples": 12, "grid": {"diffusion_steps": [4]}, "settings": {
            "molecules": 8, "conformations": 2, "test_molecules": 1, "hydrogens": False,
            "epochs": 3.0, "batch": 5, "curve_points": 3, "judged": 8,
        }},
        imports={"prepare": ("rdkit",), "train": ("torch", "scipy")},
        damaged=Damaged("damaged.sdf", "damaged.sdf", b"nonsense\n\n\nM  END\n$$$$\n"),
        worse=dict.fromkeys(("sanity", "misplaced"), FAR_APART),
        selected_by="misplaced",
    ),
}  # fmt: skip


def of(name: str) -> Example:
    """Return the example of a family; a test fails that asks for one that is not there."""
    if name not in EXAMPLES:
        import pytest  # which jobs need not import (benchmarks/start_up.py)

        pytest.fail(f"tests/contract/examples.py: found no example of {name}, expected one")
    return EXAMPLES[name]


def study_of(name: str) -> dict[str, Any]:
    """Return a study of the example, with one experiment named e, as it stands in a file."""
    experiment = {"family": name, "regimes": ["accumulate"], "iterations": 2, "seeds": 1}
    given = of(name).steps or {"grid": of(name).chains[0].parameters}
    return {"experiments": {"e": {"samples": SAMPLES, **experiment, **given}}}


def loop_of(name: str, **changes: Any) -> Loop:
    """Return the steps of the example, in the working directory."""
    given = {"regime": "accumulate", "iterations": 2, **of(name).steps, **changes}
    return Loop(family=name, **given)


def specification(
    family: str,
    parameters: Mapping[str, Any],
    regime: str | Regime,
    iterations: int = ITERATIONS,
    evaluated: tuple[int, ...] | None = None,
    samples: int = SAMPLES,
) -> ChainSpec:
    """Return a chain in closed form."""
    return ChainSpec(
        experiment="e",
        point="p",
        regime_name=str(regime),
        regime=REGIMES[regime] if isinstance(regime, str) else regime,
        family=family,
        parameters=dict(parameters),
        samples=samples,
        iterations=iterations,
        evaluated=evaluated or tuple(range(1, iterations + 1)),
    )


def declaring(what: Callable[[families.Family], object]) -> list[str]:
    """Return the names of the families that declare something."""
    return [name for name in families.MODULES if what(families.load(name))]


def run(name: str) -> None:
    """Run the steps of an example in the working directory, and write `IMPORTED`."""
    of(name).files()
    loop, imported = loop_of(name), dict[str, list[str]]()

    def noted(step: str, *iteration: int) -> None:
        before = set(sys.modules)
        getattr(loop, step)(*iteration)
        imported.setdefault(step, sorted(set(sys.modules) - before))

    if loop.data is not None:
        # In a process of its own, so that no import of prepare is hidden by one of the base.
        pretraining = multiprocessing.get_context("fork").Process(target=loop.pretrain)
        pretraining.start()
        pretraining.join()
        noted("prepare")
    for t in (1, 2):
        for step in ("assemble", "train", "generate", "evaluate"):
            noted(step, t)
    Path(IMPORTED).write_text(json.dumps(imported))


if __name__ == "__main__":
    run(sys.argv[1])
