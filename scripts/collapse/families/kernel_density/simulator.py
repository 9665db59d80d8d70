"""Kernel-density chains of several seeds.

With a fixed bandwidth the un-normalised density at the test points is a sum over training points,
so that for a pool that only grows the kernels of its new points alone are computed.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from collapse.data import toy
from collapse.families.kernel_density.kernels import log_kernel_sums, log_normaliser
from collapse.families.kernel_density.parameters import Parameters
from collapse.families.kernel_density.points import Part, Parts, Points, points_at
from collapse.families.simulator import WHOLE, Draw, Samples
from collapse.seeding import Streams

TEST_POINTS = 500

Array = NDArray[np.float64]
#: Below this bandwidth a kernel density is treated as zero everywhere but at its points.
NARROWEST = 1e-150


class Model(NamedTuple):
    """Training points and the bandwidth of each seed (seeds,)."""

    parts: Parts
    bandwidth: Array

    @property
    def total(self) -> Array:
        """The sum of the weights of all points (seeds,)."""
        return _sum(part.factor * part.points.total for part in self.parts)

    def moments(self) -> tuple[Array, Array]:
        """Return the mean (seeds, d) and the mean squared distance from it (seeds,)."""
        if len(self.parts) == 1:
            ((_, points),) = self.parts
            return points.mean, points.spread / points.total
        total = self.total
        shares = [part.factor * part.points.total / total for part in self.parts]
        mean = _sum(
            share[:, None] * part.points.mean
            for share, part in zip(shares, self.parts, strict=True)
        )
        spread = _sum(
            part.factor * part.points.spread / total
            + share * ((part.points.mean - mean) ** 2).sum(axis=1)
            for share, part in zip(shares, self.parts, strict=True)
        )
        return mean, spread


class Simulator:
    """Kernel-density chains of several seeds."""

    exchangeable = True
    one_writer = False

    def __init__(self, parameters: Parameters, samples: int, streams: Streams) -> None:
        self.dataset = parameters.dataset
        self.independent = parameters.points == "independent"
        self.bandwidth = parameters.bandwidth
        self.kernel = parameters.kernel
        self.target = parameters.target
        self._one = np.ones(len(streams))
        self.dimension = toy.DIMENSIONS[parameters.dataset]
        self.streams = streams
        self._truth: list[dict[str, Array]] = [{} for _ in streams.seeds]
        if self.dataset == "blobs":
            generators = streams.each("centres", 0, real=True)
            self._truth = [{"centres": toy.centres(generator)} for generator in generators]
        self.test = self._draw("test data", 0, TEST_POINTS)

    def real(self, iteration: int, count: int) -> Samples:
        return (self._draw("real data", iteration, count),)

    def _draw(self, purpose: str, iteration: int, count: int) -> Array:
        generators = self.streams.each(purpose, iteration, real=True)
        draws = [
            toy.draw(self.dataset, count, generator, independent=self.independent, **truth)
            for generator, truth in zip(generators, self._truth, strict=True)
        ]
        return np.stack(draws)

    def summarise(self, samples: Samples, weights: Array | None = None) -> Parts:
        return (Part(self._one, Points.of(samples[0], weights)),)

    def weighted(self, statistics: Parts, factors: Array) -> Parts:
        return tuple(Part(part.factor * factors, part.points) for part in statistics)

    def merge(self, pool: Parts, shard: Parts) -> Parts:
        if len(pool) == len(shard) == 1 and pool[0].factor is shard[0].factor:
            return (Part(pool[0].factor, pool[0].points.union(shard[0].points)),)
        return (*pool, *shard)

    def fit(self, statistics: Parts) -> Model:
        if isinstance(self.bandwidth, float):
            return Model(statistics, np.full(len(self.streams), self.bandwidth))
        model = Model(statistics, self._one)
        bandwidth = rule_of_thumb(self.bandwidth, model.total, self.dimension)
        if self.bandwidth.endswith("scaled"):
            _, variance = model.moments()
            bandwidth = bandwidth * np.sqrt(variance / self.dimension)
        return model._replace(bandwidth=bandwidth)

    def sample(self, model: Model, count: int, iteration: int, of: Draw = WHOLE) -> Samples:
        """Draw points of the training set by their weights and displace each by the kernel."""
        shape = (count, self.dimension)
        positions = self.streams.uniform("chosen points", iteration, (count,), attempt=of.attempt)
        chosen = points_at(model.parts, positions)
        moves = self.streams.normal("displacements", iteration, shape, attempt=of.attempt)
        if self.kernel == "tophat":
            # Draws in the unit ball: a random direction, times a root of a uniform number.
            radii = self.streams.uniform("radii", iteration, (count, 1), attempt=of.attempt)
            moves *= radii ** (1 / self.dimension) / np.linalg.norm(moves, axis=2, keepdims=True)
        moves *= model.bandwidth[:, None, None]
        return (chosen + moves,)

    def sample_statistics(self, model: Model, count: int, iteration: int) -> Parts:
        return self.summarise(self.sample(model, count, iteration))

    def score(self, name: str, samples: Samples) -> Array:
        return np.sqrt(((samples[0] - self.target) ** 2).sum(axis=2))

    def evaluate(self, model: Model) -> dict[str, Array]:
        # Squared distances in units of the width of such narrow kernels would overflow.
        narrow = model.bandwidth < NARROWEST
        model = model._replace(bandwidth=np.where(narrow, 1.0, model.bandwidth))
        tallies = [self._tally(part.points, model.bandwidth) for part in model.parts]
        tally = tallies[0]
        if len(model.parts) > 1:
            with np.errstate(divide="ignore"):
                logarithms = [np.log(part.factor)[:, None] for part in model.parts]
            tally = np.logaddexp.reduce([a + b for a, b in zip(logarithms, tallies, strict=True)])
        normaliser = log_normaliser(self.kernel, self.dimension) + self.dimension * np.log(
            model.bandwidth
        )
        log_density = tally - np.log(model.total / _common(model.parts))[:, None]
        log_density -= normaliser[:, None]
        mean, variance = model.moments()
        return {
            "test_nll": np.where(narrow, np.inf, -log_density.mean(axis=1)),
            "mean_density": np.where(narrow, 0.0, np.exp(log_density).mean(axis=1)),
            "mean_squared_norm": variance + (mean**2).sum(axis=1),
            "point_variance": variance,
        }

    def _tally(self, points: Points, bandwidth: Array) -> Array:
        """Return the logarithm of the sum of kernels at the test points: (seeds, test points)."""
        start, tally = points.tally or (0, np.full(self.test.shape[:2], -np.inf))
        if start < points.count:
            new, weights = points.points[:, start:], points.weights
            weights = None if weights is None else weights[:, start:]
            sums = log_kernel_sums(new, self.test, bandwidth, self.kernel, weights)
            tally = np.logaddexp(tally, sums) if start else sums
        if isinstance(self.bandwidth, float):
            points.tally = (points.count, tally)
        return tally

    def finish(self, model: Model, iteration: int, later: Iterator[int] | None) -> dict[str, Array]:
        return {}


def _sum(arrays: Iterable[Array]) -> Array:
    return functools.reduce(np.add, arrays)


def _common(parts: Parts) -> Array | float:
    """Return the factor of the only part, which changes no density; 1 if there are several."""
    return parts[0].factor if len(parts) == 1 else 1.0


def rule_of_thumb(rule: str, count: Array | int, dimension: int) -> Array:
    """Return the bandwidth of Scott's or Silverman's rule in scikit-learn, for unit spread."""
    scaled = count if rule.startswith("scott") else count * (dimension + 2) / 4
    return np.asarray(scaled, dtype=np.float64) ** (-1 / (dimension + 4))
