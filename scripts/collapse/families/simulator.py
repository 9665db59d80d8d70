"""The interface of a closed-form family, which simulates chains of several seeds at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

#: The samples of a shard for several seeds, as arrays of shape (seeds, samples, ...).
Samples = tuple[NDArray[Any], ...]


class Draw(NamedTuple):
    """Which samples of an iteration are drawn.

    Each slot has ``each`` candidates. Each ``attempt`` at an iteration draws other ones. Of samples
    that are drawn in parts, with `Streams.continued`, ``start`` is the number of the first.
    """

    start: int = 0
    each: int = 1
    attempt: int = 0


#: All samples of an iteration, one for each slot.
WHOLE = Draw()

Statistics = TypeVar("Statistics")
Model = TypeVar("Model")


class Simulator(Protocol[Statistics, Model]):
    """A simulator draws data and fits, samples and evaluates models, for several seeds at once.

    Each family has its own types of statistics and models. A simulator does not know the regime:
    the loop (`collapse.loop.closed_form`) asks for statistics only if a regime trains on whole
    shards, and for samples if it trains on subsets of them. In a population each model has a
    simulator of its own, and the model that is sampled from may be another's.
    """

    #: Whether the samples of a shard are exchangeable (independent and identically distributed).
    exchangeable: bool

    #: Whether samples that are summarised together are all real or all of the newest model; the
    #: loop sets it before it draws any.
    one_writer: bool

    def real(self, iteration: int, count: int) -> Samples:
        """Draw the real samples that arrive at an iteration, the same under every regime."""
        ...

    def summarise(self, samples: Samples, weights: NDArray[np.float64] | None = None) -> Statistics:
        """Return the statistics of samples that a fit needs.

        ``weights`` of shape (seeds, samples) say how much each sample counts; None means 1. They
        are not negative, and a sample of weight 0 is as if it were not there.
        """
        ...

    def weighted(self, statistics: Statistics, factors: NDArray[np.float64]) -> Statistics:
        """Return the statistics with all weights multiplied by a factor for each seed (seeds,)."""
        ...

    def merge(self, pool: Statistics, shard: Statistics) -> Statistics:
        """Return the statistics of the union of two disjoint sets of samples."""
        ...

    def fit(self, statistics: Statistics) -> Model:
        """Fit the model to the statistics of its training set."""
        ...

    def sample(self, model: Model, count: int, iteration: int, of: Draw = WHOLE) -> Samples:
        """Draw so many synthetic samples from a model, or candidates of slots.

        The candidates of a slot follow each other, and do not depend on the number of slots.
        """
        ...

    def sample_statistics(self, model: Model, count: int, iteration: int) -> Statistics:
        """Draw the statistics of synthetic samples from their exact distribution, at less cost."""
        ...

    def score(self, name: str, samples: Samples) -> NDArray[np.float64]:
        """Return a score, which the family declares, of each sample: (seeds, samples)."""
        ...

    def evaluate(self, model: Model) -> Mapping[str, NDArray[np.float64]]:
        """Return the metrics of a model on real test data, each of shape (seeds,)."""
        ...

    def finish(
        self, model: Model, iteration: int, later: Iterator[int] | None
    ) -> Mapping[str, NDArray[np.float64]]:
        """Return the metrics that are one number per chain, each of shape (seeds,).

        If each iteration trains only on the shard of the one before, ``later`` yields the sizes
        of the training sets after the last recorded iteration, so that the family may follow
        the chain further. Under every other regime it is None.
        """
        ...
