"""What a family in closed form implements: the chains of several seeds, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

#: The samples of a shard for several seeds: arrays of shape (seeds, samples, ...).
Samples = tuple[NDArray[Any], ...]

Statistics = TypeVar("Statistics")
Model = TypeVar("Model")


class Simulator(Protocol[Statistics, Model]):
    """The chains of several seeds side by side: their data, how a model fits, samples, is judged.

    Statistics and models are of types of the family's own. The loop (`collapse.loop.closed_form`)
    draws statistics alone where a regime trains on whole shards, and samples where it trains on
    subsets of them; a simulator does not know the regime.
    """

    #: May the samples of a shard be relabelled (independent and identically distributed)?
    exchangeable: bool

    def real(self, iteration: int, count: int) -> Samples:
        """Draw the real shard that arrives at an iteration, the same for every regime."""
        ...

    def summarise(self, samples: Samples) -> Statistics:
        """Reduce samples to what a fit needs."""
        ...

    def merge(self, pool: Statistics, shard: Statistics) -> Statistics:
        """Statistics of the union of two disjoint sets of samples."""
        ...

    def fit(self, statistics: Statistics) -> Model:
        """Fit the model to the statistics of its training set."""
        ...

    def sample(self, model: Model, count: int, iteration: int) -> Samples:
        """Draw synthetic samples from a model."""
        ...

    def sample_statistics(self, model: Model, count: int, iteration: int) -> Statistics:
        """Draw the statistics of synthetic samples: exact in distribution, much cheaper."""
        ...

    def evaluate(self, model: Model) -> Mapping[str, NDArray[np.float64]]:
        """Return the metrics of a model on real test data, each of shape (seeds,)."""
        ...

    def finish(
        self, model: Model, iteration: int, later: Iterator[int] | None
    ) -> Mapping[str, NDArray[np.float64]]:
        """Return the metrics that are one number per chain, each of shape (seeds,).

        ``later`` yields the sizes of the training sets of later iterations where each trains
        on the shard of the one before alone, so that the family may follow the chain beyond
        its last recorded iteration; it is None under every other regime.
        """
        ...
