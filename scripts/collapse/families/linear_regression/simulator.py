"""Linear-regression chains of several seeds, on reused or on fresh rows.

With fewer rows than dimensions, least squares is minimum-norm.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from collapse.families.linear_regression.least_squares import (
    apply,
    least_squares,
    noiseless_labels,
    residual_variance,
)
from collapse.families.linear_regression.parameters import Parameters
from collapse.families.simulator import WHOLE, Draw, Samples
from collapse.seeding import Streams

Array = NDArray[np.float64]


class Rows(NamedTuple):
    """Rows (seeds, k, d) and labels (seeds, k) with the least-squares fit of ``size`` samples.

    ``residual`` (seeds,) is what the fit to the samples has as its sum of squared residuals; NaN
    if samples do not count the same, as it then does not estimate the noise.
    """

    size: int
    rows: Array
    labels: Array
    residual: Array


class Model(NamedTuple):
    """Fitted weights (seeds, d), the number of distinct rows they were fitted on, and of noise.

    ``noise`` (seeds,) is the unbiased estimate of the variance of the label noise, from residuals;
    NaN without degrees of freedom.
    """

    weights: Array
    distinct: Array
    noise: Array


def set_up(parameters: Parameters, samples: int, streams: Streams) -> ReusedDesign | FreshDesign:
    """Set up linear-regression chains of several seeds."""
    kind = ReusedDesign if parameters.design == "reused" else FreshDesign
    return kind(parameters, samples, streams)


class _Regression:
    """What both designs share: the true weights, the noise of labels, and the test error."""

    one_writer = False

    def __init__(self, parameters: Parameters, samples: int, streams: Streams) -> None:
        self.dimension = parameters.dimension
        self.noise = np.sqrt(parameters.noise_variance)
        self.scale = np.arange(1.0, self.dimension + 1) ** (-parameters.covariance_decay / 2)
        self.count = samples
        self.streams = streams
        self.truth = streams.normal("true weights", 0, (self.dimension,), real=True)

    def evaluate(self, model: Model) -> dict[str, Array]:
        """Return the expected squared error on noiseless test data, ‖ŵ - w*‖² in the norm of Σ."""
        difference = (model.weights - self.truth) * self.scale
        return {
            "test_error": np.einsum("si,si->s", difference, difference),
            "distinct_rows": model.distinct,
            "noise_estimate": model.noise,
        }

    def finish(self, model: Model, iteration: int, later: Iterator[int] | None) -> dict[str, Array]:
        return {}

    def _design(self, iteration: int, count: int, *, real: bool, attempt: int = 0) -> Array:
        shape = (count, self.dimension)
        draws = self.streams.normal("design", iteration, shape, real=real, attempt=attempt)
        return draws * self.scale

    def _noise(self, iteration: int, count: int, *, real: bool, attempt: int = 0) -> Array:
        draws = self.streams.normal("label noise", iteration, (count,), real=real, attempt=attempt)
        return self.noise * draws


class FreshDesign(_Regression):
    """Chains in which every shard draws its own rows. Samples are (rows, labels)."""

    exchangeable = True

    def real(self, iteration: int, count: int) -> Samples:
        rows = self._design(iteration, count, real=True)
        labels = noiseless_labels(rows, self.truth) + self._noise(iteration, count, real=True)
        return rows, labels

    def sample(self, model: Model, count: int, iteration: int, of: Draw = WHOLE) -> Samples:
        rows = self._design(iteration, count, real=False, attempt=of.attempt)
        noise = self._noise(iteration, count, real=False, attempt=of.attempt)
        return rows, noiseless_labels(rows, model.weights) + noise

    def score(self, name: str, samples: Samples) -> Array:
        rows, labels = samples
        return np.asarray(np.abs(labels - noiseless_labels(rows, self.truth)))

    def sample_statistics(self, model: Model, count: int, iteration: int) -> Rows:
        return self.summarise(self.sample(model, count, iteration))

    def summarise(self, samples: Samples, weights: Array | None = None) -> Rows:
        rows, labels = samples
        residual = np.zeros(len(rows))
        if weights is not None:
            root, residual = np.sqrt(weights), residual * np.nan
            rows, labels = rows * root[..., None], labels * root
        return _compress(rows.shape[1], rows, labels, residual)

    def weighted(self, statistics: Rows, factors: Array) -> Rows:
        root = np.sqrt(factors)
        return statistics._replace(
            rows=statistics.rows * root[:, None, None],
            labels=statistics.labels * root[:, None],
            residual=statistics.residual * np.nan,
        )

    def merge(self, pool: Rows, shard: Rows) -> Rows:
        rows = np.concatenate((pool.rows, shard.rows), axis=1)
        labels = np.concatenate((pool.labels, shard.labels), axis=1)
        return _compress(pool.size + shard.size, rows, labels, pool.residual + shard.residual)

    def fit(self, statistics: Rows) -> Model:
        weights = np.stack(
            [least_squares(x, y) for x, y in zip(statistics.rows, statistics.labels, strict=True)]
        )
        distinct = np.full(len(weights), float(statistics.size))
        return Model(
            weights, distinct, residual_variance(statistics.residual, distinct, self.dimension)
        )


def _compress(size: int, rows: Array, labels: Array, residual: Array) -> Rows:
    """Replace more than d rows by d rows with the same XᵀX and Xᵀy, by QR."""
    dimension = rows.shape[2]
    if rows.shape[1] > dimension:
        stacked = np.concatenate((rows, labels[..., None]), axis=2)
        upper: Array = np.asarray(np.linalg.qr(stacked, mode="r"))
        rows, labels = upper[:, :dimension, :dimension], upper[:, :dimension, dimension]
        residual = residual + upper[:, dimension, dimension] ** 2
    return Rows(size, rows, labels, residual)


class Tally(NamedTuple):
    """How often each row of the reused design is in a training set, and its sum of labels.

    Both have shape (seeds, n), and count a sample by its weight. XᵀX and Xᵀy of any union of
    shards follow from them. Samples count the ``same`` if residuals estimate the noise.
    """

    times: Array
    sums: Array
    same: bool = True


class ReusedDesign(_Regression):
    """Chains whose shards share the rows of X; row i of a longer shard is row i mod n of X.

    Samples are (row numbers, labels).
    """

    exchangeable = False

    def __init__(self, parameters: Parameters, samples: int, streams: Streams) -> None:
        super().__init__(parameters, samples, streams)
        self.design = self._design(0, samples, real=True)
        # The pseudo-inverse of X is the product of two factors: weights = back · rotate · labels.
        if samples >= self.dimension:
            rotation, upper = np.linalg.qr(self.design)
            self._rotate, self._back = rotation.transpose(0, 2, 1), np.linalg.inv(upper)
        else:
            basis, upper = np.linalg.qr(self.design.transpose(0, 2, 1))
            self._rotate, self._back = np.linalg.inv(upper).transpose(0, 2, 1), basis

    def real(self, iteration: int, count: int) -> Samples:
        numbers = np.arange(count) % self.count
        exact = apply(self.design, self.truth)[:, numbers]
        labels = exact + self._noise(iteration, count, real=True)
        return np.broadcast_to(numbers, labels.shape), labels

    def sample(self, model: Model, count: int, iteration: int, of: Draw = WHOLE) -> Samples:
        # The candidates of a slot are labels of the same row.
        numbers = np.arange(of.start, of.start + count) // of.each % self.count
        exact = apply(self.design, model.weights)[:, numbers]
        labels = exact + self._noise(iteration, count, real=False, attempt=of.attempt)
        return np.broadcast_to(numbers, labels.shape), labels

    def score(self, name: str, samples: Samples) -> Array:
        numbers, labels = samples
        exact = np.take_along_axis(apply(self.design, self.truth), numbers, axis=1)
        return np.abs(labels - exact)

    def sample_statistics(self, model: Model, count: int, iteration: int) -> Tally:
        times = np.bincount(np.arange(count) % self.count, minlength=self.count).astype(float)
        noise = self.noise * self.streams.normal("statistics", iteration, (self.count,))
        sums = times * apply(self.design, model.weights) + np.sqrt(times) * noise
        return Tally(np.broadcast_to(times, sums.shape), sums)

    def summarise(self, samples: Samples, weights: Array | None = None) -> Tally:
        times, sums = np.zeros((2, len(self.streams), self.count))
        for seed, (numbers, labels) in enumerate(zip(*samples, strict=True)):
            one = None if weights is None else weights[seed]
            times[seed] = np.bincount(numbers, weights=one, minlength=self.count)
            weighed = labels if one is None else labels * one
            sums[seed] = np.bincount(numbers, weights=weighed, minlength=self.count)
        return Tally(times, sums, same=weights is None)

    def weighted(self, statistics: Tally, factors: Array) -> Tally:
        times, sums, _ = statistics
        return Tally(times * factors[:, None], sums * factors[:, None], same=False)

    def merge(self, pool: Tally, shard: Tally) -> Tally:
        return Tally(pool.times + shard.times, pool.sums + shard.sums, pool.same and shard.same)

    def fit(self, statistics: Tally) -> Model:
        times, sums, same = statistics
        distinct = (times > 0).sum(axis=1).astype(float)
        weights, residual = np.empty_like(self.truth), np.zeros(len(times))
        whole = (times == times[:, :1]).all(axis=1)
        if whole.any():
            chosen = slice(None) if whole.all() else whole
            labels = sums[chosen] / times[chosen]
            mean = apply(self._rotate[chosen], labels)
            weights[chosen] = apply(self._back[chosen], mean)
            # The rotation takes away the part of the labels that no weights can fit.
            left = (labels**2).sum(axis=1) - (mean**2).sum(axis=1)
            residual[chosen] = np.maximum(left, 0) * times[chosen, 0]
        for seed in np.flatnonzero(~whole):
            # Copies of a row become one, with their mean label, times the root of their number.
            drawn = np.flatnonzero(times[seed])
            root = np.sqrt(times[seed, drawn])
            rows = self.design[seed, drawn] * root[:, None]
            labels = sums[seed, drawn] / root
            weights[seed] = least_squares(rows, labels)
            residual[seed] = ((labels - rows @ weights[seed]) ** 2).sum()
        if not same:
            residual[:] = np.nan
        return Model(weights, distinct, residual_variance(residual, distinct, self.dimension))
