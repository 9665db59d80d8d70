"""Theoretical expectations of generalised linear models of many Gaussian samples, and costs."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from collapse.families.declarations import Expectation
from collapse.families.generalised_linear.distributions import Distribution
from collapse.families.generalised_linear.simulator import Parameters
from collapse.regimes import Regime
from collapse.theory import exponential_families as theory

Array = NDArray[np.float64]

PAGE = "docs/theory/exponential_families.md"
#: Theory of many samples is drawn from so many samples for each weight on.
ENOUGH = 10


class Known:
    """The approximations of a chain for many samples, by the law of exponential families."""

    def __init__(
        self,
        parameters: Parameters,
        distribution: Distribution,
        regime: Regime,
        samples: int,
        iterations: int,
    ) -> None:
        self._parameters, self._distribution = parameters, distribution
        self._chain = (regime, samples, iterations)

    @functools.cached_property
    def least_log_loss(self) -> float:
        """The expected log-loss of the truth, E[A(η) - A'(η) η]."""

        def entropy(predictor: Array) -> Array:
            mean, _ = self._distribution.moments(predictor)
            return self._distribution.cumulant(predictor) - mean * predictor

        return theory.gaussian_mean(entropy, self._parameters.intercept, self._parameters.norm)

    def expectations(
        self, loss: str, *, excess: float, least: float, small: float
    ) -> dict[str, Expectation]:
        """Return the expectations of a loss, ``least`` at the truth, and of the weights.

        ``excess`` is what the loss exceeds its least value by, for each unit of expected deviance.
        There are none if the expected deviance of a sample reaches ``small``.
        """
        regime, samples, iterations = self._chain
        if not regime.is_plain:
            return {}
        width = self._parameters.dimension + 1
        factor = theory.variance_factor(regime, samples, iterations)
        deviance = factor * width / samples
        if samples < ENOUGH * width or deviance.max() > small:
            return {}
        trace = theory.trace_of_inverse_information(
            lambda predictor: self._distribution.moments(predictor)[1],
            self._parameters.intercept,
            self._parameters.norm,
            self._parameters.dimension,
        )
        return {
            loss: Expectation(least + excess * deviance, f"{PAGE}, eq. (5)", exact=False),
            "squared_error_of_weights": Expectation(
                factor * trace / samples, f"{PAGE}, eq. (4)", exact=False
            ),
        }


def seconds(
    parameters: Parameters, trained: Sequence[int], evaluated: int, rows: int, width: int
) -> float:
    """Estimate the core-seconds of one seed of a chain on a design of so many rows and columns."""
    fitted = sum(trained) if parameters.design == "fresh" else rows * len(trained)
    for_each_row = 2.5e-7 + 2e-8 * width + 7e-10 * width**2
    return fitted * for_each_row + len(trained) * 2e-5 + evaluated * 3e-5
