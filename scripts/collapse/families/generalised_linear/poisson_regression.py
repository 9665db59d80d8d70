"""Poisson regression on counts of the previous model: Gaussian features, logarithm as link."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from collapse.families.contract import ClosedForm, Family
from collapse.families.declarations import (
    Expectation,
    Figure,
    Headline,
    Metric,
    Score,
    parameter,
)
from collapse.families.generalised_linear import expected, simulator
from collapse.families.generalised_linear.distributions import LARGEST_LOG_MEAN, Poisson
from collapse.families.generalised_linear.maximum_likelihood import Fit
from collapse.families.simulator import Samples
from collapse.regimes import Regime
from collapse.seeding import Streams

Array = NDArray[np.float64]


class Parameters(simulator.Parameters):
    """Parameters of the poisson_regression family."""

    norm: float = parameter(
        "Euclidean norm of the true weights of the Gaussian features.", default=0.5, ge=0, le=3
    )
    intercept: float = parameter(
        "True intercept, the logarithm of the mean count where all features are zero.",
        default=1.0,
        ge=-10,
        le=10,
    )


class _Evaluation(simulator.GeneralisedLinear):
    def evaluate(self, model: Fit) -> dict[str, Array]:
        """Return the metrics on test rows."""
        predictor = np.minimum(self.test_predictors(model), LARGEST_LOG_MEAN)
        mean = self.test_labels
        excess = mean * (np.log(mean) - predictor) - mean + np.exp(predictor)
        return {
            "test_deviance": 2 * excess.mean(axis=1),
            **self.common_metrics(model),
        }

    def score(self, name: str, samples: Samples) -> Array:
        return np.abs(samples[1] - self.true_means(samples))


class Reused(_Evaluation, simulator.ReusedDesign):
    """Chains on features that are the same in every iteration."""


class Fresh(_Evaluation, simulator.FreshDesign):
    """Chains on features that each shard draws."""


def set_up(parameters: Parameters, samples: int, streams: Streams) -> Reused | Fresh:
    """Set up Poisson-regression chains of several seeds."""
    if parameters.design == "fresh":
        return Fresh(parameters, Poisson(), streams)
    return Reused(parameters, samples, Poisson(), streams)


def expectations(
    parameters: Parameters, regime: Regime, samples: int, iterations: int
) -> dict[str, Expectation]:
    """Return what is known for many samples."""
    known = expected.Known(parameters, Poisson(), regime, samples, iterations)
    return known.expectations("test_deviance", excess=1.0, least=0.0, small=0.5)


def seconds(parameters: Parameters, trained: Sequence[int], evaluated: int, whole: bool) -> float:
    """Estimate the core-seconds of one seed of a chain (measured on a 2020s server core)."""
    return expected.seconds(parameters, trained, evaluated, trained[0], parameters.dimension + 1)


FAMILY = Family(
    name="poisson_regression",
    parameters=Parameters,
    metrics={
        "test_deviance": Metric(
            "mean Poisson deviance of fitted from true means on real test data",
            comment="It is what the deviance of counts exceeds that under the true means by.",
        ),
        "squared_error_of_weights": Metric("squared error of the weights and the intercept"),
        "separated": Metric(
            "1 if the likelihood has no maximum, else 0",
            comment="So it is if a linear function of the features is zero at all positive counts, "
            "and negative at others; the fit is one whose likelihood is within rounding of its "
            "supremum.",
        ),
    },
    scores={"residual": Score("Distance of a count from its true mean.", better="lower")},
    headline=Headline(
        "test_deviance",
        worse="higher",
        scale="log",
        meaning="A curve that keeps rising adds the noise of each refit to that of earlier ones.",
    ),
    figures=(
        Figure("test-deviance", "test_deviance", rows="dimension", xscale="log", yscale="log"),
        Figure("separated", "separated", rows="dimension"),
        Figure(
            "squared-error-of-weights",
            "squared_error_of_weights",
            rows="dimension",
            xscale="log",
            yscale="log",
        ),
    ),
    minimum_samples=1,
    expectations=expectations,
    closed_form=ClosedForm(set_up, seconds),
)
