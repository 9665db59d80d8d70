"""Linear regression on labels of the previous model (P1 section 2, P2 appendix).

The data are x ~ N(0, Σ) and y = x·w + noise. In the papers the design matrix X is drawn once and
only labels are redrawn, so that rows repeat in an accumulated training set; the other variant draws
a fresh X at every iteration.
"""

from __future__ import annotations

from collections.abc import Sequence

from collapse.families.contract import ClosedForm, Family
from collapse.families.declarations import Expectation, Figure, Headline, Metric, Score
from collapse.families.linear_regression import expected
from collapse.families.linear_regression.parameters import Parameters
from collapse.families.linear_regression.simulator import set_up
from collapse.regimes import Regime


def expectations(
    parameters: Parameters, regime: Regime, samples: int, iterations: int
) -> dict[str, Expectation]:
    """Return the expected test error and estimate of the noise, where they are known."""
    return expected.expectations(
        parameters.dimension,
        parameters.noise_variance,
        regime,
        samples,
        iterations,
        fresh=parameters.design == "fresh",
        isotropic=parameters.covariance_decay == 0,
    )


def seconds(parameters: Parameters, trained: Sequence[int], evaluated: int, whole: bool) -> float:
    """Estimate the core-seconds of one seed of a chain (measured on a 2020s server core)."""
    d = parameters.dimension
    if parameters.design == "fresh":
        return sum(trained) * d * 5e-8 + len(trained) * 5e-8 * d**2
    if whole:
        return len(trained) * 5e-6 + trained[0] * len(trained) * d * 2.4e-9
    return len(trained) * (3e-5 + 2e-8 * d**2) + sum(trained) * (2e-7 + 4.5e-9 * d)


FAMILY = Family(
    name="linear_regression",
    parameters=Parameters,
    metrics={
        "test_error": Metric("expected squared error on noiseless real test data"),
        "distinct_rows": Metric("distinct rows of the design in the training set"),
        "noise_estimate": Metric(
            "estimate of the variance of the label noise from residuals (missing: n <= d, or "
            "weighted samples)"
        ),
    },
    scores={
        "residual": Score("Distance of a label from that of the true weights.", better="lower")
    },
    headline=Headline(
        "test_error",
        worse="higher",
        meaning="A curve that keeps rising adds the noise of each refit to that of earlier ones.",
    ),
    figures=(
        Figure("test-error", "test_error", rows="dimension"),
        Figure("test-error-log", "test_error", rows="dimension", xscale="log", yscale="log"),
    ),
    minimum_samples=1,
    expectations=expectations,
    closed_form=ClosedForm(set_up, seconds, version=2),
)
