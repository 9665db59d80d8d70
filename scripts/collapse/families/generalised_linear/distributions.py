"""The distributions of labels: exponential families with their canonical link.

Of a label with the linear predictor η the log-likelihood is y η - A(η), up to a constant, with the
cumulant A; its mean is A'(η) and its variance A''(η).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Linear predictors are limited to this size in exponentials, which stay finite.
LARGEST = 700.0
#: Largest logarithm of the mean of Poisson labels that are drawn and evaluated, so that they
#: can be counted in 64 bits.
LARGEST_LOG_MEAN = 40.0


class Distribution(Protocol):
    """An exponential family of labels, with functions of arrays of any shape."""

    def cumulant(self, predictor: Array) -> Array:
        """Return A(η)."""
        ...

    def moments(self, predictor: Array) -> tuple[Array, Array]:
        """Return the mean A'(η) and the variance A''(η)."""
        ...

    def start(self, labels: Array) -> Array:
        """Return linear predictors near those that fit each mean label on its own."""
        ...

    def draw(self, generator: np.random.Generator, predictor: Array) -> Array:
        """Draw a label for each linear predictor, one after the other."""
        ...

    def draw_sums(
        self, generator: np.random.Generator, predictor: Array, times: NDArray[np.int64]
    ) -> Array:
        """Draw sums of so many labels of each linear predictor."""
        ...


class Bernoulli:
    """Labels 0 and 1, with the logistic link."""

    def cumulant(self, predictor: Array) -> Array:
        return np.maximum(predictor, 0) + np.log1p(np.exp(-np.abs(predictor)))

    def moments(self, predictor: Array) -> tuple[Array, Array]:
        mean = probability(predictor)
        return mean, mean * probability(-predictor)

    def start(self, labels: Array) -> Array:
        return np.log((labels + 0.5) / (1.5 - labels))

    def draw(self, generator: np.random.Generator, predictor: Array) -> Array:
        return (generator.random(predictor.shape) < probability(predictor)).astype(np.float64)

    def draw_sums(
        self, generator: np.random.Generator, predictor: Array, times: NDArray[np.int64]
    ) -> Array:
        return generator.binomial(times, probability(predictor)).astype(np.float64)


class Poisson:
    """Counts, with the logarithm as link."""

    def cumulant(self, predictor: Array) -> Array:
        return np.exp(np.minimum(predictor, LARGEST))

    def moments(self, predictor: Array) -> tuple[Array, Array]:
        mean = self.cumulant(predictor)
        return mean, mean

    def start(self, labels: Array) -> Array:
        return np.log(labels + 0.1)

    def draw(self, generator: np.random.Generator, predictor: Array) -> Array:
        return generator.poisson(limited_mean(predictor)).astype(np.float64)

    def draw_sums(
        self, generator: np.random.Generator, predictor: Array, times: NDArray[np.int64]
    ) -> Array:
        # The sum of that many counts is a count of that many times the mean.
        sums = times * limited_mean(predictor)
        return generator.poisson(np.minimum(sums, np.exp(LARGEST_LOG_MEAN))).astype(np.float64)


def probability(predictor: Array) -> Array:
    """Return the probability of label 1 under the logistic link."""
    return 1 / (1 + np.exp(-np.clip(predictor, -LARGEST, LARGEST)))


def limited_mean(predictor: Array) -> Array:
    """Return the mean of Poisson labels, which is at most the exponential of a limit."""
    return np.exp(np.minimum(predictor, LARGEST_LOG_MEAN))
