"""Families of models, behind one narrow protocol, loaded by name and only when asked for.

A closed-form family is a module with the names of `FamilyModule`; its ``Chain`` class does
what `ClosedForm` says. The loop that drives it is `collapse.chain`, what it trains on is
decided in `collapse.regimes`: a ``Chain`` knows neither.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
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
}

#: The samples of a shard for several seeds: arrays of shape (seeds, samples, ...).
Samples = tuple[NDArray[Any], ...]


class Parameters(BaseModel):
    """The grid keys of a family: one field each, all with a default.

    Fields marked with `variant` become a dimension of the results only in a study that
    names them; the others always are one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)


def variant(**extra: Any) -> dict[str, Any]:
    """Mark a field of `Parameters` as a variant (its ``json_schema_extra``)."""
    return {"variant": True, **extra}


class Metric(NamedTuple):
    """A variable of the results; ``per_iteration`` is false for one number per chain."""

    long_name: str
    units: str = "1"
    per_iteration: bool = True


class Headline(NamedTuple):
    """The metric by which a chain is judged: which way is worse, and on which scale."""

    metric: str
    worse: Literal["higher", "lower"]
    scale: Literal["linear", "log"] = "linear"


class Figure(NamedTuple):
    """A figure of a family: small multiples of a metric against iterations or samples.

    ``rows`` is the grid parameter of the rows of panels, regimes are the columns, and
    ``colour`` the parameter of the curves. Every other axis gives a figure of its own.
    ``average`` is over seeds: a mean with a 95 % confidence band, or a median with quartiles.
    """

    name: str
    metric: str
    rows: str | None
    colour: str = "samples"
    x: Literal["iteration", "samples"] = "iteration"
    xscale: Literal["linear", "log"] = "linear"
    yscale: Literal["linear", "log"] = "linear"
    average: Literal["mean", "median"] = "mean"


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


def load(name: str) -> Any:
    """Import the module of a family.

    Raises
    ------
    KeyError
        If no family has this name.
    """
    return importlib.import_module(MODULES[name])
