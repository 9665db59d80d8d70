"""Chains of generalised linear models of several seeds, on reused or on fresh features."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from collapse.families import declarations
from collapse.families.declarations import parameter
from collapse.families.generalised_linear.datasets import Dataset, with_intercept
from collapse.families.generalised_linear.distributions import Distribution
from collapse.families.generalised_linear.maximum_likelihood import Fit, maximum_likelihood
from collapse.families.simulator import WHOLE, Draw, Samples
from collapse.seeding import Streams

Array = NDArray[np.float64]

#: Number of test rows of the Gaussian features.
TEST_ROWS = 1000


class Parameters(declarations.Parameters):
    """Parameters that all generalised linear models have."""

    dimension: int = Field(
        default=2, ge=1, description="Number of Gaussian features d, beside the intercept."
    )
    norm: float = parameter(
        "Euclidean norm of the true weights of the Gaussian features.", default=1.0, ge=0, le=100
    )
    intercept: float = parameter(
        "True intercept of the Gaussian data; an intercept is fitted to all data.",
        default=0.0,
        ge=-20,
        le=20,
    )
    design: Literal["reused", "fresh"] = parameter(
        "Whether all shards share one design matrix, or each draws its own.", default="reused"
    )


class Tally(NamedTuple):
    """The total weight of each row of the reused design, and its weighted sum of labels.

    Both have shape (seeds, n). The likelihood of any union of shards follows from them.
    """

    weights: Array
    sums: Array


class Rows(NamedTuple):
    """Rows (seeds, k, p) with their weights (seeds, k) and weighted labels (seeds, k)."""

    rows: Array
    weights: Array
    sums: Array


class GeneralisedLinear(ABC):
    """What both designs share: the truth, and the model's linear predictors of test rows."""

    one_writer = False

    def __init__(
        self, parameters: Parameters, distribution: Distribution, streams: Streams
    ) -> None:
        self.distribution = distribution
        self.dimension = parameters.dimension
        self.streams = streams
        direction = streams.normal("true weights", 0, (self.dimension,), real=True)
        length = np.sqrt((direction**2).sum(axis=1, keepdims=True))
        start = np.full((len(streams), 1), parameters.intercept)
        self.truth = np.concatenate((start, parameters.norm * direction / length), axis=1)
        features = streams.normal("test features", 0, (TEST_ROWS, self.dimension), real=True)
        self.test_rows = with_intercept(features)
        mean, _ = distribution.moments(predictors(self.test_rows, self.truth))
        #: The mean label of each test row, of shape (seeds, m), or its label if no more is known.
        self.test_labels = mean

    @abstractmethod
    def true_means(self, samples: Samples) -> Array:
        """Return the mean that the label of each sample has in truth, or its label if it is known.

        It has shape (seeds, samples).
        """

    def test_predictors(self, model: Fit) -> Array:
        """Return the linear predictors of test rows, of shape (seeds, m)."""
        return predictors(self.test_rows, model.coefficients)

    def common_metrics(self, model: Fit) -> dict[str, Array]:
        """Return the error of the weights, NaN if the truth is not known, and what is separated."""
        return {
            "squared_error_of_weights": ((model.coefficients - self.truth) ** 2).sum(axis=1),
            "separated": (~model.exists).astype(np.float64),
        }

    def finish(self, model: Fit, iteration: int, later: Iterator[int] | None) -> dict[str, Array]:
        return {}

    def _features(self, iteration: int, count: int, *, real: bool, attempt: int = 0) -> Array:
        shape = (count, self.dimension)
        return self.streams.normal("design", iteration, shape, real=real, attempt=attempt)

    def _labels(self, predictor: Array, iteration: int, *, real: bool, attempt: int = 0) -> Array:
        labels = np.empty(predictor.shape)
        generators = self.streams.each("labels", iteration, real=real, attempt=attempt)
        for seed, generator in enumerate(generators):
            labels[seed] = self.distribution.draw(generator, predictor[seed])
        return labels


class FreshDesign(GeneralisedLinear):
    """Chains in which every shard draws its own features. Samples are (features, labels)."""

    exchangeable = True

    def real(self, iteration: int, count: int) -> Samples:
        features = self._features(iteration, count, real=True)
        return features, self._labels(_predictor(features, self.truth), iteration, real=True)

    def sample(self, model: Fit, count: int, iteration: int, of: Draw = WHOLE) -> Samples:
        features = self._features(iteration, count, real=False, attempt=of.attempt)
        predictor = _predictor(features, model.coefficients)
        return features, self._labels(predictor, iteration, real=False, attempt=of.attempt)

    def true_means(self, samples: Samples) -> Array:
        mean, _ = self.distribution.moments(_predictor(samples[0], self.truth))
        return mean

    def sample_statistics(self, model: Fit, count: int, iteration: int) -> Rows:
        return self.summarise(self.sample(model, count, iteration))

    def summarise(self, samples: Samples, weights: Array | None = None) -> Rows:
        features, labels = samples
        given = np.ones(labels.shape) if weights is None else weights
        return Rows(with_intercept(features), given, given * labels)

    def weighted(self, statistics: Rows, factors: Array) -> Rows:
        rows, weights, sums = statistics
        return Rows(rows, weights * factors[:, None], sums * factors[:, None])

    def merge(self, pool: Rows, shard: Rows) -> Rows:
        return Rows(*(np.concatenate(pair, axis=1) for pair in zip(pool, shard, strict=True)))

    def fit(self, statistics: Rows) -> Fit:
        return maximum_likelihood(*statistics, self.distribution)


class ReusedDesign(GeneralisedLinear):
    """Chains whose shards share the rows of a design; row i of a longer shard is row i mod n.

    Samples are (row numbers, labels). A data set has one label for each row: all of its real
    samples repeat these.
    """

    exchangeable = False

    def __init__(
        self,
        parameters: Parameters,
        samples: int,
        distribution: Distribution,
        streams: Streams,
        dataset: Dataset | None = None,
    ) -> None:
        super().__init__(parameters, distribution, streams)
        if dataset is None:
            self.rows = with_intercept(self._features(0, samples, real=True))
            self.real_labels: Array | None = None
        else:
            self._take(dataset, samples)
        self.count = self.rows.shape[1]

    def _take(self, dataset: Dataset, samples: int) -> None:
        """Use the first rows of a data set, in a basis in which they are orthonormal.

        Their span and so all fitted means stay the same, but features that almost depend on each
        other lose no digits.
        """
        rows, seeds = dataset.rows[:samples], len(self.streams)
        left, singular, right = np.linalg.svd(rows, full_matrices=False)
        kept = singular > 1e-10 * singular[0]
        scale = np.sqrt(len(rows))
        basis = scale * left[:, kept]
        test = dataset.test_rows @ (right[kept].T * (scale / singular[kept]))
        self.truth = np.full((seeds, basis.shape[1]), np.nan)
        self.rows = np.broadcast_to(basis, (seeds, *basis.shape))
        self.test_rows = np.broadcast_to(test, (seeds, *test.shape))
        self.test_labels = np.broadcast_to(dataset.test_labels, (seeds, len(test)))
        self.real_labels = np.broadcast_to(dataset.labels[:samples], (seeds, len(rows)))

    def real(self, iteration: int, count: int) -> Samples:
        numbers = self._numbers(count)
        if self.real_labels is not None:
            return numbers, self.real_labels[:, numbers[0]]
        predictor = predictors(self.rows, self.truth)[:, numbers[0]]
        return numbers, self._labels(predictor, iteration, real=True)

    def sample(self, model: Fit, count: int, iteration: int, of: Draw = WHOLE) -> Samples:
        # The candidates of a slot are labels of the same row.
        numbers = self._numbers(count, of.start, of.each)
        predictor = predictors(self.rows, model.coefficients)[:, numbers[0]]
        return numbers, self._labels(predictor, iteration, real=False, attempt=of.attempt)

    def true_means(self, samples: Samples) -> Array:
        means = self.real_labels
        if means is None:
            means, _ = self.distribution.moments(predictors(self.rows, self.truth))
        return np.take_along_axis(means, samples[0], axis=1)

    def sample_statistics(self, model: Fit, count: int, iteration: int) -> Tally:
        times = np.bincount(self._numbers(count)[0], minlength=self.count)
        predictor = predictors(self.rows, model.coefficients)
        sums = np.empty(predictor.shape)
        for seed, generator in enumerate(self.streams.each("statistics", iteration)):
            sums[seed] = self.distribution.draw_sums(generator, predictor[seed], times)
        return Tally(np.broadcast_to(times.astype(np.float64), sums.shape), sums)

    def summarise(self, samples: Samples, weights: Array | None = None) -> Tally:
        numbers, labels = samples
        given = np.ones(labels.shape) if weights is None else weights
        places = (numbers + self.count * np.arange(len(numbers))[:, None]).ravel()
        shape, cells = (len(numbers), self.count), len(numbers) * self.count
        total, sums = (
            np.bincount(places, one.ravel(), cells).astype(np.float64).reshape(shape)
            for one in (given, given * labels)
        )
        return Tally(total, sums)

    def weighted(self, statistics: Tally, factors: Array) -> Tally:
        return Tally(*(one * factors[:, None] for one in statistics))

    def merge(self, pool: Tally, shard: Tally) -> Tally:
        return Tally(pool.weights + shard.weights, pool.sums + shard.sums)

    def fit(self, statistics: Tally) -> Fit:
        return maximum_likelihood(self.rows, *statistics, self.distribution)

    def _numbers(self, count: int, start: int = 0, each: int = 1) -> NDArray[np.int64]:
        numbers = np.arange(start, start + count) // each % self.count
        return np.broadcast_to(numbers, (len(self.streams), count))


def _predictor(features: Array, weights: Array) -> Array:
    """Return linear predictors, by sums that unlike those of BLAS don't depend on how many."""
    return np.asarray(weights[:, :1] + (features * weights[:, None, 1:]).sum(axis=2))


def predictors(rows: Array, weights: Array) -> Array:
    """Return the linear predictors (seeds, n) of rows (seeds, n, p) and weights (seeds, p)."""
    return (rows @ weights[..., None])[..., 0]
