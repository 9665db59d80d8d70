"""Gaussian chains of several seeds.

A covariance is kept as a factor F, of which it is F F', and is squared only where a merge needs
it: replacing the data multiplies triangular factors. With a sample, the standard normal draw that
it was made of is kept, whose scatter the model's factor multiplies. So variances and determinants
keep their relative accuracy down to the smallest numbers where a training set has samples of one
model; where it has samples of several, down to the rounding of their positions.
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
    """Mean (seeds, d), a factor (seeds, d, columns) of the covariance, a bound of its rank."""

    mean: Array
    factor: Array
    rank: int


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
        kept = draws if self.one_writer else self._no_draws(draws)
        return draws * np.sqrt(self.variance), kept, np.zeros(draws.shape[:2], dtype=np.int32)

    @staticmethod
    def _no_draws(samples: Array) -> Array:
        """Return what stands for draws that no summary needs: with samples of several models."""
        return np.empty((*samples.shape[:-1], 0))

    def summarise(self, samples: Samples, weights: Array | None = None) -> Statistics:
        """Return the statistics of samples.

        They are differences from the mean of a model, the draws that its factor maps to these (none
        where samples of several models are summarised), and the number of the model in `writers`.
        """
        values, draws, writers = samples
        count, newest = values.shape[1], int(writers.max())
        model = self.writers[newest]
        if self.one_writer and newest:
            columns = model.factor.shape[2]
            size, mean, centred = _centred(draws[:, :, :columns], weights)
            factor = model.factor @ lower_factor(centred, min(columns, count - 1))
            moved = model.mean + (model.factor @ mean[..., None])[..., 0]
            rank = self._rank(min(model.rank, count - 1))
            return self._of_source(size, moved, factor, min(rank, factor.shape[2]), weights)
        size, mean, centred = _centred(self._positions(samples), weights)
        factor = lower_factor(centred, self._rank(count - 1))
        rank = min(self._rank(count - 1), factor.shape[2])
        return self._of_source(size, mean, factor, rank, weights)

    def _positions(self, samples: Samples) -> Array:
        """Return where samples are: their differences from the means of their models, and these."""
        values, _, writers = samples
        means = np.zeros((int(writers.max()) + 1, len(values), self.dimension))
        for writer in np.unique(writers):
            means[writer] = self.writers[writer].mean
        positions: Array = means[writers, np.arange(len(values))[:, None]]
        positions += values
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
        shift = shard.mean - pool.mean
        between = None
        if not self.within:
            between = np.sqrt(pool.size * shard.size / size)[:, None] * shift
        rank = self._rank(pool.rank + shard.rank + 1)
        scatter = pool.scatter.plus(shard.scatter, between, rank)
        mean = pool.mean + shift * (shard.size / size)[:, None]
        return Statistics(size, mean, scatter, rank)

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
        draws = np.zeros(samples.shape) if self.one_writer else self._no_draws(samples)
        generators = self.streams.each("samples", iteration, attempt=of.attempt)
        for row, generator in enumerate(generators):
            generator.standard_normal(out=drawn.reshape(-1, columns)[here])
            if self.one_writer:
                draws[row, ..., :columns] = drawn
            np.matmul(drawn, model.factor[row].T, out=samples[row])
        if self.one_writer:  # no sample of an older model will be summarised
            self.writers = {0: self.writers[0]}
        self.writers[iteration] = self.before = model
        slots = (len(samples), blocks * _BLOCK)
        values, draws = (one.reshape(*slots, one.shape[-1])[:, here] for one in (samples, draws))
        return values, draws, np.full(values.shape[:2], iteration, dtype=np.int32)

    def sample_statistics(self, model: Model, count: int, iteration: int) -> Statistics:
        """Draw the mean and scatter of ``count`` samples: a normal vector and a Wishart matrix.

        The Wishart matrix with count - 1 degrees of freedom is drawn as its Bartlett factor,
        which is lower trapezoidal if it has fewer degrees of freedom than dimensions.
        """
        self.before = model
        rows = model.factor.shape[2]
        columns = min(rows, count - 1)
        below = np.tril_indices(rows, -1, columns)
        diagonal = np.arange(columns)
        freedom = count - 1.0 - diagonal
        shift = np.empty((len(self.streams), rows, 1))
        squares = np.empty((len(self.streams), columns))
        normals = np.empty((len(self.streams), len(below[0])))
        for row, generator in enumerate(self.streams.each("statistics", iteration)):
            generator.standard_normal(out=shift[row, :, 0])
            squares[row] = generator.chisquare(freedom)
            generator.standard_normal(out=normals[row])
        bartlett = np.zeros((len(self.streams), rows, columns))
        bartlett[:, diagonal, diagonal] = np.sqrt(squares)
        bartlett[:, below[0], below[1]] = normals
        mean = model.mean + (model.factor @ shift)[..., 0] / np.sqrt(count)
        size = np.full(len(mean), float(count))
        return self._of_source(size, mean, model.factor @ bartlett, min(model.rank, count - 1))

    def score(self, name: str, samples: Samples) -> Array:
        positions = self._positions(samples)
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
            "squared_step_of_mean": squared_distance(
                model.mean, self.before.mean, self.before.factor
            ),
        }

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
        return min(self.dimension, bound, self.real_seen - 1)


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
