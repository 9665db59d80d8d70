"""Multivariate Gaussian (P2): fit mean and covariance, sample, repeat."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from collapse.families.contract import ClosedForm, Family, Iterative
from collapse.families.declarations import (
    Distribution,
    Expectation,
    Figure,
    Headline,
    Metric,
    Score,
)
from collapse.families.gaussian import expected
from collapse.families.gaussian.parameters import Parameters
from collapse.families.gaussian.simulator import Simulator
from collapse.regimes import Regime


def expectations(
    parameters: Parameters, regime: Regime, samples: int, iterations: int
) -> dict[str, Expectation]:
    """Return the expectation of each metric, for all regimes that do not look at samples."""
    given = (parameters.dimension, parameters.variance, parameters.estimator)
    if regime.select is not None:
        return expected.of_selection(*given, parameters.target, regime, iterations)
    if regime.population is not None:
        return expected.of_population(*given, regime, samples, iterations)
    return expected.expectations(*given, regime, samples, iterations)


def unfit(parameters: Parameters, regime: Regime) -> str:
    """Say why the covariances of the sources are not all known, if the estimator needs them."""
    if parameters.estimator != "within-sources":
        return ""
    if regime.population is not None:
        return "estimator: within-sources does not know the sources of a population"
    if regime.provenance == "bernoulli":
        return "estimator: within-sources needs fixed numbers of samples, not provenance: bernoulli"
    for key in ("keep_real", "generate", "fresh_real"):
        if getattr(regime, key) == 1:
            return f"estimator: within-sources needs two samples of a source, not {key}: 1"
    return ""


def problems_by_steps(parameters: Parameters) -> Iterator[tuple[str, str]]:
    """Yield what steps can't do, whose training sets are one set of samples."""
    if parameters.estimator == "within-sources":
        yield "estimator", "maximum-likelihood or unbiased, with per_iteration"


def seconds(parameters: Parameters, trained: Sequence[int], evaluated: int, whole: bool) -> float:
    """Estimate the core-seconds of one seed of a chain (measured on a 2020s server core)."""
    d = parameters.dimension
    if whole:
        return len(trained) * (1e-5 + 2.5e-8 * d**2)
    return sum(trained) * (1.2e-7 + 1.1e-8 * d + 6e-11 * d**2)


FAMILY = Family(
    name="gaussian",
    parameters=Parameters,
    metrics={
        "squared_error_of_mean": Metric("squared distance of the fitted mean from the true mean"),
        "trace_ratio": Metric("trace of the fitted covariance over that of the true covariance"),
        "squared_error_of_covariance": Metric(
            "squared distance of the fitted covariance from the true one, in the Frobenius norm"
        ),
        "log_determinant_ratio": Metric(
            "log of the determinant of the fitted covariance over that of the true covariance"
        ),
        "squared_step_of_mean": Metric(
            "squared Mahalanobis distance of the fitted mean from the model that wrote the samples",
            comment="Missing where the spread is too small beside the mean to tell the two apart. "
            "In a population it is that from the last model which wrote samples for this one.",
        ),
    },
    scores={
        "distance": Score("Distance of a sample from the target.", better="lower"),
        "reward": Score("Minus half the squared distance from the target.", better="higher"),
        "log_density": Score("Log-density of a sample under the truth.", better="higher"),
    },
    headline=Headline(
        "trace_ratio",
        worse="lower",
        scale="log",
        meaning="At 1 the models keep the spread of the real data; "
        "near 0 all their samples are alike.",
    ),
    # Chains lose variance, but after one refit it says little, and may exceed the true one.
    mixture_headline=Headline(
        "squared_error_of_mean",
        worse="higher",
        scale="log",
        meaning="How far the fitted mean is from the true one; the lower, the better the mixture.",
    ),
    figures=(
        Figure("squared-error-of-mean", "squared_error_of_mean", rows="dimension", yscale="log"),
        Figure("trace-ratio", "trace_ratio", rows="dimension", yscale="log"),
        Figure("log-determinant-ratio", "log_determinant_ratio", rows="dimension"),
    ),
    # In one dimension the trace is the variance (P2).
    distributions=(
        Distribution(
            "variance-distribution",
            "trace_ratio",
            rows="samples",
            at={"dimension": 1},
            label="fitted variance over the true variance",
            lowest=1e-3,
        ),
    ),
    minimum_samples=2,
    expectations=expectations,
    unfit=unfit,
    closed_form=ClosedForm(Simulator, seconds, version=5),
    # The steps are for trying out the rules and a cluster; real data is drawn, not read.
    iterative=Iterative(
        module="collapse.families.gaussian.steps",
        versions={"train": 4, "generate": 2, "evaluate": 3},
        problems=problems_by_steps,
    ),
)
