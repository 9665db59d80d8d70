"""Discrete chains of several seeds."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from collapse.families.discrete.parameters import Parameters, truth_of
from collapse.families.simulator import WHOLE, Draw, Samples
from collapse.seeding import Streams

Array = NDArray[np.float64]


class Counts(NamedTuple):
    """How often each outcome is in a set of samples (seeds, K), and the size of the set (seeds,).

    These are sums of the samples' weights: integers if all samples count the same.
    """

    counts: NDArray[Any]
    total: Array


class Simulator:
    """Discrete chains of several seeds."""

    exchangeable = True
    one_writer = False

    def __init__(self, parameters: Parameters, samples: int, streams: Streams) -> None:
        self.outcomes = parameters.outcomes
        self.truth = truth_of(parameters)
        self.cap = parameters.cap
        self.streams = streams
        self._iteration = 0
        self._collapse = np.full(len(streams), np.nan)

    def real(self, iteration: int, count: int) -> Samples:
        draws = np.empty((len(self.streams), count), dtype=np.int32)
        for row, generator in zip(
            draws, self.streams.each("real data", iteration, real=True), strict=True
        ):
            if (self.truth == self.truth[0]).all():
                row[:] = generator.integers(self.outcomes, size=count, dtype=np.int32)
            else:
                sums = np.cumsum(self.truth)
                places = generator.random(count) * sums[-1]
                row[:] = np.searchsorted(sums, places, side="right")
        return (draws,)

    def summarise(self, samples: Samples, weights: Array | None = None) -> Counts:
        (draws,) = samples
        of_seeds = [None] * len(draws) if weights is None else weights
        counts = np.stack(
            [
                np.bincount(row, one, minlength=self.outcomes)
                for row, one in zip(draws, of_seeds, strict=True)
            ]
        )
        return Counts(counts, counts.sum(axis=1))

    def weighted(self, statistics: Counts, factors: Array) -> Counts:
        counts = statistics.counts * factors[:, None]
        return Counts(counts, counts.sum(axis=1))

    def merge(self, pool: Counts, shard: Counts) -> Counts:
        return Counts(pool.counts + shard.counts, pool.total + shard.total)

    def fit(self, statistics: Counts) -> Counts:
        self._iteration += 1
        collapsed = (statistics.counts > 0).sum(axis=1) == 1
        self._collapse[collapsed & np.isnan(self._collapse)] = self._iteration
        return statistics

    def sample(self, model: Counts, count: int, iteration: int, of: Draw = WHOLE) -> Samples:
        draws = np.empty((len(self.streams), count), dtype=np.int32)
        generators = self.streams.each("samples", iteration, attempt=of.attempt)
        whole = np.issubdtype(model.counts.dtype, np.integer)
        for seed, generator in enumerate(generators):
            sums = np.cumsum(model.counts[seed])
            if whole:
                positions = generator.integers(model.total[seed], size=draws.shape[1])
            else:
                positions = generator.random(draws.shape[1]) * sums[-1]
            draws[seed] = np.searchsorted(sums, positions, side="right")
        return (draws,)

    def score(self, name: str, samples: Samples) -> Array:
        return samples[0].astype(float)

    def sample_statistics(self, model: Counts, count: int, iteration: int) -> Counts:
        """Draw the counts of ``count`` samples: a multinomial over the outcomes that are left."""
        counts = np.zeros(model.counts.shape, dtype=np.int64)
        for seed, generator in enumerate(self.streams.each("statistics", iteration)):
            alive = np.flatnonzero(model.counts[seed])
            probabilities = model.counts[seed, alive] / model.total[seed]
            counts[seed, alive] = generator.multinomial(count, probabilities)
        return Counts(counts, counts.sum(axis=1))

    def evaluate(self, model: Counts) -> dict[str, Array]:
        entropy, gini, support, mean = np.empty((4, len(self.streams)))
        for seed, counts in enumerate(model.counts):
            probabilities = counts[counts > 0] / model.total[seed]
            # The absolute value turns the -0.0 of a single outcome into 0.
            entropy[seed] = abs((probabilities * np.log(probabilities)).sum())
            gini[seed] = 1 - (probabilities**2).sum()
            support[seed] = len(probabilities)
            mean[seed] = np.flatnonzero(counts) @ probabilities
        return {
            "entropy": entropy,
            "gini_simpson": gini,
            "support": support,
            "mean_outcome": mean,
        }

    def finish(
        self, model: Counts, iteration: int, later: Iterator[int] | None
    ) -> dict[str, Array]:
        """Follow replace chains to their collapse, or to the cap."""
        collapse = np.where(self._collapse <= self.cap, self._collapse, np.nan)
        if later is not None:
            generators = self.streams.each("beyond the record", iteration)
            # Training sets that grow without bound end the drift long before they exceed 2**53.
            countable = itertools.takewhile(lambda size: size < 2**53, later)
            copies = itertools.tee(countable, len(collapse))
            for seed, (generator, sizes) in enumerate(zip(generators, copies, strict=True)):
                if np.isnan(self._collapse[seed]):
                    alive = model.counts[seed][model.counts[seed] > 0]
                    limit = itertools.islice(sizes, max(0, self.cap - iteration))
                    collapse[seed] = iteration + _iterations_to_collapse(alive, limit, generator)
        return {"iterations_to_collapse": collapse}


def _iterations_to_collapse(
    counts: NDArray[np.int64], sizes: Iterator[int], generator: np.random.Generator
) -> float:
    """Resample counts until one outcome is left; return the iterations, or NaN if sizes end."""
    iterations = 0
    total = int(counts.sum())
    while len(counts) > 2:
        size = next(sizes, None)
        if size is None:
            return np.nan
        counts = generator.multinomial(size, counts / total)
        counts = counts[counts > 0]
        total = size
        iterations += 1
    if len(counts) == 1:
        return iterations
    # Half of all iterations have two outcomes left: a scalar binomial is then much cheaper.
    binomial, one = generator.binomial, int(counts[0])
    for iterations, size in enumerate(sizes, start=iterations + 1):  # noqa: B020
        one, total = binomial(size, one / total), size
        if one in (0, size):
            return iterations
    return np.nan
