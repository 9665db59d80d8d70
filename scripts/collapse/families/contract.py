"""What a family can do: run a chain at once, in closed form, or step by step, with files.

A closed-form family is a module with the names of `FamilyModule`; its ``Chain`` class does
what `ClosedForm` says. The loop that drives it is `collapse.loop.closed_form`, what it trains on is
decided in `collapse.regimes`: a ``Chain`` knows neither. A family that runs step by step names
in ``STEPS`` a module that does what `Steps` says; `collapse.loop.steps` drives it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from collapse.families import Expectation, Figure, Headline, Metric, Parameters
from collapse.regimes import Regime
from collapse.seeding import Streams

#: The samples of a shard for several seeds: arrays of shape (seeds, samples, ...).
Samples = tuple[NDArray[Any], ...]


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


class Prepared(NamedTuple):
    """The files of the real data, with the number of samples in each, and what to note of them."""

    train: Sequence[tuple[str, int]]
    test: Sequence[tuple[str, int]]
    details: dict[str, Any]


class Steps(Protocol):
    """What a family does in the steps of an iteration: the module that its ``STEPS`` names.

    ``step`` tells where in which chain, and gives the random streams; ``parameters`` are the
    family's. `collapse.loop.steps` reads, checks and writes everything around.
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
        ``fingerprint``, of the training set and of all that the step is.
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
        threads: int,
    ) -> dict[str, float]:
        """Return the metrics of a model on real test data, and of its samples.

        What numbers don't depend on may be done in so many threads.
        """
        ...


class PicturedSteps(Steps, Protocol):
    """What a family whose results are pictures does besides.

    Its ``PICTURES`` names a module, without torch, whose ``draw`` makes pictures of portraits
    (`collapse.job.draw_pictures`).
    """

    def portray(
        self,
        step: Any,
        parameters: Any,
        *,
        model: Path,
        data: Path | None,
        shards: Sequence[Any],
        output: Path,
    ) -> None:
        """Write to a file what is shown of an iteration: its portrait."""
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
