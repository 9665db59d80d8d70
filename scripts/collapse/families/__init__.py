"""Families of models, behind one narrow protocol, loaded by name and only when asked for.

A closed-form family is a module with the names of `FamilyModule`; its ``Chain`` class does
what `ClosedForm` says. The loop that drives it is `collapse.chain`, what it trains on is
decided in `collapse.regimes`: a ``Chain`` knows neither.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from collapse.regimes import Regime
from collapse.seeding import Streams

#: Where each family lives. A new family is a new module and a line here.
MODULES = {
    "gaussian": "collapse.families.gaussian",
    "linear_regression": "collapse.families.linear_regression",
    "kernel_density": "collapse.families.kernel_density",
    "discrete": "collapse.families.discrete",
    "language_model": "collapse.families.language_model",
}

#: The samples of a shard for several seeds: arrays of shape (seeds, samples, ...).
Samples = tuple[NDArray[Any], ...]


class Parameters(BaseModel):
    """The grid keys of a family: one field each, all with a default.

    Fields marked with `variant` become a dimension of the results only in a study that
    names them; the others always are one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)


#: The steps of an iteration, in the order in which parameters begin to matter to them. A
#: checkpoint of iteration 1, say, serves all points that differ only in what comes later.
STAGES = ("data", "training", "generation", "evaluation")


def variant(stage: str = "training") -> dict[str, Any]:
    """Mark a field of `Parameters` as a variant (its ``json_schema_extra``).

    ``stage`` is the first of `STAGES` to which the parameter matters.
    """
    return {"variant": True, "stage": stage}


def stage_of(family: Any, parameter: str) -> int:
    """Return the index of the first of `STAGES` to which a parameter, or ``samples``, matters."""
    field = family.Parameters.model_fields.get(parameter)
    extra = (field.json_schema_extra if field else None) or {}
    return STAGES.index(extra.get("stage", "training"))


class Metric(NamedTuple):
    """A variable of the results; ``per_iteration`` is false for one number per chain."""

    long_name: str
    units: str = "1"
    per_iteration: bool = True


class Headline(NamedTuple):
    """The metric by which a chain is judged: which way is worse, and on which scale.

    Below a change of ``stable`` (a share of the first value, or on a log scale of e) it
    hardly changed.
    """

    metric: str
    worse: Literal["higher", "lower"]
    scale: Literal["linear", "log"] = "linear"
    stable: float = 0.25


class Figure(NamedTuple):
    """A figure of a family: small multiples of a metric against iterations or samples.

    ``rows`` is the grid parameter of the rows of panels, regimes are the columns, and
    ``colour`` the parameter of the curves. Every other axis gives a figure of its own.
    ``average`` is over seeds: a mean with a 95 % confidence band, or a median with quartiles.
    ``reference`` is a variable drawn as a line that the metric can't cross. A figure that
    ``compares`` is drawn where the study has several values of its colour.
    """

    name: str
    metric: str
    rows: str | None
    colour: str = "samples"
    x: Literal["iteration", "samples"] = "iteration"
    xscale: Literal["linear", "log"] = "linear"
    yscale: Literal["linear", "log"] = "linear"
    average: Literal["mean", "median"] = "mean"
    reference: str | None = None
    compares: bool = False


class Published(NamedTuple):
    """A published value of a metric, and the parameters and samples under which it was found.

    Without a regime it holds under every one: at iteration 1 they are the same.
    """

    metric: str
    regime: str | None
    iteration: int
    value: float
    conditions: Mapping[str, Any]
    source: str


class Expectation(NamedTuple):
    """What theory says of a metric, at iterations 1..T or, without that axis, of a chain.

    Attributes
    ----------
    mean : ndarray, shape (iterations,) or ()
    deviation : ndarray or None
        Standard deviation over seeds, or a lower bound of it: 100 seeds of a skewed
        distribution often miss its tail and so underestimate their own standard error.
    exact : bool
        Approximations are drawn, not tested.
    above_first : bool
        The expectation is of the difference from iteration 1 of the same seed.
    """

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64] | None = None
    exact: bool = True
    above_first: bool = False


class ClosedForm(Protocol):
    """One chain's world, for several seeds side by side: data, fit, sample, evaluate.

    ``Statistics`` and ``Model`` are the family's own. What may be asked of a regime decides
    which of the two ways of sampling the loop takes: statistics alone where whole shards
    are trained on, samples where subsets are.
    """

    #: May the samples of a shard be relabelled (independent and identically distributed)?
    exchangeable: bool

    def real(self, iteration: int, count: int) -> Samples:
        """Draw the real shard that arrives at an iteration, the same for every regime."""
        ...

    def summarise(self, samples: Samples) -> Any:
        """Reduce samples to what a fit needs."""
        ...

    def merge(self, pool: Any, shard: Any) -> Any:
        """Statistics of the union of two disjoint sets of samples."""
        ...

    def fit(self, statistics: Any) -> Any:
        """Fit the model to the statistics of its training set."""
        ...

    def sample(self, model: Any, count: int, iteration: int) -> Samples:
        """Draw synthetic samples from a model."""
        ...

    def sample_statistics(self, model: Any, count: int, iteration: int) -> Any:
        """Draw the statistics of synthetic samples: exact in distribution, much cheaper."""
        ...

    def evaluate(self, model: Any) -> Mapping[str, NDArray[np.float64]]:
        """Return the metrics of a model on real test data, each of shape (seeds,)."""
        ...

    def finish(self, model: Any, iteration: int, later: Iterator[int] | None) -> Mapping[str, Any]:
        """Return the metrics that are one number per chain, each of shape (seeds,).

        ``later`` yields the sizes of the training sets of later iterations where each trains
        on the shard of the one before alone, so that the family may follow the chain beyond
        its last recorded iteration; it is None under every other regime.
        """
        ...


class Work(NamedTuple):
    """What one sample costs in the steps of an iteration, roughly, and a checkpoint's size."""

    train_flops: float = 0.0
    generate_flops: float = 0.0
    sample_bytes: float = 100.0
    model_bytes: float = 1000.0


class Prepared(NamedTuple):
    """The files of the real data, with the number of samples in each, and what to note of them."""

    train: Sequence[tuple[str, int]]
    test: Sequence[tuple[str, int]]
    details: dict[str, Any]


class Steps(Protocol):
    """What a family does in the steps of an iteration: the module that its ``STEPS`` names.

    ``step`` tells where in which chain, and gives the random streams; ``parameters`` are the
    family's. `collapse.steps` reads, checks and writes everything around.
    """

    def prepare(self, step: Any, parameters: Any, directory: Path) -> Prepared:
        """Write the real data, training and test, into a directory."""
        ...

    def train(
        self,
        step: Any,
        parameters: Any,
        selections: Sequence[Any],
        *,
        data: Path | None,
        fingerprint: str,
        scratch: Path,
        model: Path,
    ) -> dict[str, Any]:
        """Train on the selected samples, write the checkpoint, and return what to note of it.

        An interrupted training goes on from what it left in ``scratch``, if that has the same
        ``fingerprint`` (of the training set) and parameters.
        """
        ...

    def generate(
        self,
        step: Any,
        parameters: Any,
        slots: range,
        *,
        model: Path,
        data: Path | None,
        output: Path,
    ) -> dict[str, Any]:
        """Write one sample for each slot to a Parquet file, and return what to note of it.

        A sample depends on its slot, not on which others are asked for with it.
        """
        ...

    def evaluate(
        self,
        step: Any,
        parameters: Any,
        *,
        model: Path,
        data: Path | None,
        selections: Sequence[Any],
        shards: Sequence[Any],
    ) -> dict[str, float]:
        """Return the metrics of a model on real test data, and of its samples."""
        ...


class FamilyModule(Protocol):
    """What the module of a closed-form family holds."""

    #: Raised when the numbers of the family change: its chains are then run again.
    VERSION: int
    MINIMUM_SAMPLES: int
    METRICS: Mapping[str, Metric]
    HEADLINE: Headline
    FIGURES: Sequence[Figure]
    Parameters: type[Parameters]

    def Chain(self, parameters: Any, samples: int, streams: Streams) -> ClosedForm:  # noqa: N802
        """Set up the world of one chain."""
        ...

    def expectations(
        self, parameters: Any, regime: Regime, samples: int, iterations: int
    ) -> Mapping[str, Expectation]:
        """Return what theory says of the metrics of a chain, as far as it says anything."""
        ...

    def seconds(
        self, parameters: Any, trained: Sequence[int], evaluated: int, whole: bool
    ) -> float:
        """Estimate the core-seconds of one seed of a chain, for the plan of a study.

        ``trained`` are the sizes of its training sets, ``evaluated`` the number of
        iterations evaluated, and ``whole`` says whether it trains on whole pools.
        """
        ...


def runs_at_once(family: Any) -> bool:
    """Tell whether one job can run a whole chain of a family: whether it is in closed form."""
    return hasattr(family, "Chain")


def runs_by_iteration(family: Any) -> bool:
    """Tell whether the steps of a family's iterations can be jobs with files."""
    return hasattr(family, "STEPS")


def is_neural(family: Any) -> bool:
    """Tell whether the steps of a family want a GPU."""
    return not runs_at_once(family)


def load_steps(name: str) -> Any:
    """Import the module of a family's steps, which may be heavy: for jobs alone."""
    return importlib.import_module(load(name).STEPS)


def load(name: str) -> Any:
    """Import the module of a family.

    Raises
    ------
    KeyError
        If no family has this name.
    """
    return importlib.import_module(MODULES[name])
