"""Gaussian chains of several seeds.

A covariance is kept as a factor F, of which it is F F', and is squared only where a merge needs
it: replacing the data multiplies triangular factors.

Samples are an array of positions (seeds, samples, d), if samples of several models are summarised
together. Otherwise they are differences from the mean of their model, the standard normal draws
that its factor maps to these, and the number of the model in `Simulator.writers`, 0 for real data.
The scatter of the draws is then multiplied by the factor, so that variances and determinants keep
their relative accuracy down to the smallest numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from collapse.families.gaussian.factors import lower_factor, squared_distance
from collapse.families.gaussian.parameters import Parameters
from collapse.families.gaussian.scatter import Scatter
from collapse.families.simulator import WHOLE, Draw, Samples
from collapse.seeding import Streams

Array = NDArray[np.float64]

_BLOCK = 64


class Statistics(NamedTuple):
    """Sufficient statistics of a set of samples, stacked over seeds.

    ``size`` (seeds,) is the sum of the samples' weights; ``mean`` has shape (seeds, d); ``scatter``
    is that about the mean, and ``rank`` an upper bound of its rank.
    """

    size: Array
    mean: Array
    scatter: Scatter
    rank: int

    @property
    def factor(self) -> Array:
        """A factor of the scatter, of shape (seeds, d, columns), of which it is F F'."""
        return self.scatter.factor(self.rank)


class Model(NamedTuple):
    """Mean (seeds, d), a factor (seeds, d, columns) of the covariance, a bound of its rank.

    ``squared_step`` (seeds,) is what `Simulator.squared_step` returns, of a model from a file.
    """

    mean: Array
    factor: Array
    rank: int
    squared_step: Array | None = None


class Simulator:
    """Gaussian chains of several seeds."""

    exchangeable = True
    one_writer = False

    def __init__(self, parameters: Parameters, samples: int, streams: Streams) -> None:
        self.dimension = parameters.dimension
        self.variance = parameters.variance
        self.unbiased = parameters.estimator == "unbiased"
        self.within = parameters.estimator == "within-sources"
        self.target = parameters.target
        self.streams = streams
        # Synthetic data never leaves the affine span of the real data that it descends from.
        self.real_seen = 0
        #: The models that wrote samples, by iteration; 0 is the truth.
        origin = np.zeros((len(streams), self.dimension))
        unit = np.broadcast_to(np.eye(self.dimension), (*origin.shape, self.dimension))
        truth = Model(origin, unit * np.sqrt(self.variance), self.dimension)
        self.writers: dict[int, Model] = {0: truth}
        #: The model that wrote the newest samples.
        self.before = truth

    def real(self, iteration: int, count: int) -> Samples:
        self.real_seen += count
        shape = (count, self.dimension)
        draws = self.streams.normal("real data", iteration, shape, real=True)
        positions = draws * np.sqrt(self.variance)
        if not self.one_writer:
            return (positions,)
        return positions, draws, np.zeros(draws.shape[:2], dtype=np.int32)

    def summarise(self, samples: Samples, weights: Array | None = None) -> Statistics:
        """Return the statistics of samples, which the docstring of this module describes."""
        if self.one_writer and samples[2].any():
            return self._of_draws(samples, weights)
        size, mean, centred = _centred(self.positions(samples), weights)
        bound = self._rank(samples[0].shape[1] - 1)
        factor = lower_factor(centred, bound)
        return self._of_source(size, mean, factor, min(bound, factor.shape[2]), weights)

    def _of_draws(self, samples: Samples, weights: Array | None) -> Statistics:
        """Return the statistics of samples of one model, as those of their draws."""
        _, draws, writers = samples
        model = self.writers[int(writers.max())]
        columns = model.factor.shape[2]
        bound = min(model.rank, draws.shape[1] - 1)
        size, mean, centred = _centred(draws[:, :, :columns], weights)
        factor = model.factor @ lower_factor(centred, min(columns, draws.shape[1] - 1))
        mean = model.mean + (model.factor @ mean[..., None])[..., 0]
        rank = min(self._rank(bound), factor.shape[2])
        return self._of_source(size, mean, factor, rank, weights)

    def positions(self, samples: Samples) -> Array:
        """Return where samples of one model, or none, are: (seeds, samples, d)."""
        if len(samples) == 1:
            return samples[0]
        values, _, writers = samples
        positions: Array = values + self.writers[int(writers.max(initial=0))].mean[:, None]
        return positions

    def _of_source(
        self, size: Array, mean: Array, factor: Array, rank: int, weights: Array | None = None
    ) -> Statistics:
        """Return the statistics of the samples of one source, as the estimator needs them."""
        if self.within:
            effective = size if weights is None else size**2 / (weights**2).sum(axis=1)
            with np.errstate(divide="ignore", invalid="ignore"):
                factor = factor * np.sqrt(effective / (effective - 1))[:, None, None]
        return Statistics(size, mean, Scatter.of(factor), rank)

    def weighted(self, statistics: Statistics, factors: Array) -> Statistics:
        scatter = statistics.scatter.scaled(factors)
        return statistics._replace(size=statistics.size * factors, scatter=scatter)

    def merge(self, pool: Statistics, shard: Statistics) -> Statistics:
        size = pool.size + shard.size
        share = (shard.size / size)[:, None]
        shift = shard.mean - pool.mean
        between = None
        if not self.within:
            between = np.sqrt(pool.size * shard.size / size)[:, None] * shift
        rank = self._rank(pool.rank + shard.rank + 1)
        scatter = pool.scatter.plus(shard.scatter, between, rank)
        return Statistics(size, pool.mean + shift * share, scatter, rank)

    def fit(self, statistics: Statistics) -> Model:
        divisor = np.sqrt(statistics.size - self.unbiased)[:, None, None]
        return Model(statistics.mean, statistics.factor / divisor, statistics.rank)

    def sample(self, model: Model, count: int, iteration: int, of: Draw = WHOLE) -> Samples:
        # Blocks have a fixed size, because BLAS rounds a row according to the number of rows.
        here = slice(of.start % _BLOCK, of.start % _BLOCK + count)
        blocks = -(-here.stop // _BLOCK)
        columns = model.factor.shape[2]
        drawn = np.zeros((blocks, _BLOCK, columns))
        samples = np.empty((len(self.streams), blocks, _BLOCK, self.dimension))
        draws = np.zeros(samples.shape if self.one_writer else 0)
        generators = self.streams.each("samples", iteration, attempt=of.attempt)
        for row, generator in enumerate(generators):
            generator.standard_normal(out=drawn.reshape(-1, columns)[here])
            if self.one_writer:
                draws[row, ..., :columns] = drawn
            np.matmul(drawn, model.factor[row].T, out=samples[row])
        self.before = model
        values = samples.reshape(len(samples), -1, self.dimension)[:, here]
        if not self.one_writer:
            values += model.mean[:, None]
            return (values,)
        self.writers = {0: self.writers[0], iteration: model}  # older samples are not needed again
        writers = np.full(values.shape[:2], iteration, dtype=np.int32)
        return values, draws.reshape(len(draws), -1, self.dimension)[:, here], writers

    def sample_statistics(self, model: Model, count: int, iteration: int) -> Statistics:
        """Draw the mean and scatter of ``count`` samples: a normal vector and a Wishart matrix.

        The Wishart matrix with count - 1 degrees of freedom is drawn as its Bartlett factor,
        which is lower trapezoidal if it has fewer degrees of freedom than dimensions.
        """
        self.before = model
        rows = model.factor.shape[2]
        columns = min(rows, count - 1)
        below = np.ravel_multi_index(np.tril_indices(rows, -1, columns), (rows, columns))
        diagonal = np.arange(columns)
        freedom = count - 1.0 - diagonal
        shift = np.empty((len(self.streams), rows, 1))
        squares = np.empty((len(self.streams), columns))
        normals = np.empty((len(self.streams), len(below)))
        for row, generator in enumerate(self.streams.each("statistics", iteration)):
            generator.standard_normal(out=shift[row, :, 0])
            squares[row] = generator.chisquare(freedom)
            generator.standard_normal(out=normals[row])
        bartlett = np.zeros((len(self.streams), rows, columns))
        bartlett[:, diagonal, diagonal] = np.sqrt(squares)
        bartlett.reshape(len(bartlett), -1)[:, below] = normals
        mean = model.mean + (model.factor @ shift)[..., 0] / np.sqrt(count)
        size = np.full(len(mean), float(count))
        return self._of_source(size, mean, model.factor @ bartlett, min(model.rank, count - 1))

    def score(self, name: str, samples: Samples) -> Array:
        positions = self.positions(samples)
        if name == "log_density":
            squares = np.einsum("snd,snd->sn", positions, positions) / self.variance
            return -(squares + self.dimension * np.log(2 * np.pi * self.variance)) / 2
        gap = positions - self.target
        squares = np.einsum("snd,snd->sn", gap, gap)
        return -squares / 2 if name == "reward" else np.sqrt(squares)

    def evaluate(self, model: Model) -> dict[str, Array]:
        trace = np.einsum("sij,sij->s", model.factor, model.factor)
        true_trace = self.dimension * self.variance
        return {
            "squared_error_of_mean": np.einsum("si,si->s", model.mean, model.mean),
            "trace_ratio": trace / true_trace,
            "squared_error_of_covariance": self._squared_error_of_covariance(model),
            "log_determinant_ratio": self._log_determinant_ratio(model),
            "squared_step_of_mean": self.squared_step(model),
        }

    def squared_step(self, model: Model) -> Array:
        """Return the squared step of a model's mean from that of the model before, (seeds,).

        It is a squared Mahalanobis distance, by the covariance of the model before.
        """
        if model.squared_step is not None:
            return model.squared_step
        # All samples are in the span of the real ones, which the model before may have.
        inside = self.before.rank == self._rank(self.dimension)
        return squared_distance(model.mean, self.before.mean, self.before.factor, inside=inside)

    def finish(self, model: Model, iteration: int, later: Iterator[int] | None) -> dict[str, Array]:
        return {}

    def _squared_error_of_covariance(self, model: Model) -> Array:
        difference = model.factor @ model.factor.transpose(0, 2, 1)
        diagonal = np.arange(self.dimension)
        difference[:, diagonal, diagonal] -= self.variance
        return np.asarray(np.einsum("sij,sij->s", difference, difference))

    def _log_determinant_ratio(self, model: Model) -> Array:
        if model.rank < self.dimension:
            return np.full(len(self.streams), -np.inf)
        diagonal = np.abs(np.einsum("sii->si", model.factor))
        with np.errstate(divide="ignore"):
            logarithms = 2 * np.log(diagonal).sum(axis=1)
        return logarithms - self.dimension * np.log(self.variance)

    def _rank(self, bound: int) -> int:
        """Return a bound of a scatter's rank that the span of all real data so far also keeps."""
        # What others write is in the span of their real data.
        span = self.dimension if self.streams.own_real else self.real_seen - 1
        return min(self.dimension, bound, span)


def _centred(samples: Array, weights: Array | None) -> tuple[Array, Array, Array]:
    """Return the sum of weights (seeds,), the mean, and B (seeds, d, samples): B B' is the scatter.

    The mean of samples that have no weight is 0, as is then their scatter.
    """
    if weights is None:
        mean = samples.mean(axis=1)
        size = np.full(len(samples), float(samples.shape[1]))
        return size, mean, (samples - mean[:, None]).transpose(0, 2, 1)
    size = weights.sum(axis=1)
    mean = np.einsum("sn,snd->sd", weights, samples) / np.where(size > 0, size, 1.0)[:, None]
    centred = (samples - mean[:, None]) * np.sqrt(weights)[..., None]
    return size, mean, centred.transpose(0, 2, 1)
