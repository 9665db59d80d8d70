"""Kernel density estimation (P2): the model is its training set and a bandwidth.

The metric is the mean negative log-likelihood of real test points.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from collapse.data import toy
from collapse.families.contract import ClosedForm, Family
from collapse.families.declarations import Expectation, Figure, Headline, Metric, Score
from collapse.families.kernel_density.parameters import Parameters
from collapse.families.kernel_density.simulator import TEST_POINTS, Simulator, rule_of_thumb
from collapse.regimes import Regime


def expectations(
    parameters: Parameters, regime: Regime, samples: int, iterations: int
) -> dict[str, Expectation]:
    """Return the expectation of each metric, where bandwidths do not depend on the data."""
    if not regime.is_plain:
        return {}
    from collapse.families.kernel_density import expected

    rule, dimension = parameters.bandwidth, toy.DIMENSIONS[parameters.dataset]
    if isinstance(rule, str) and rule.endswith("scaled"):
        return {}
    counts = regime.training_sizes(iterations, samples)
    bandwidths = np.array(
        [
            rule if isinstance(rule, float) else float(rule_of_thumb(rule, count, dimension))
            for count in counts
        ]
    )
    return expected.expectations(
        parameters.dataset,
        parameters.kernel,
        regime,
        samples,
        TEST_POINTS,
        bandwidths,
        independent=parameters.points == "independent",
    )


def remark(parameters: Parameters) -> str:
    """Say what evenly spaced real points do to the first fit."""
    if parameters.points == "independent" or parameters.dataset not in ("circles", "moons"):
        return ""
    return (
        f"With points: even, real points of {parameters.dataset} are an even grid along the "
        "curves, with noise, as published. Iteration 1 therefore fits better than it would to as "
        "many independent points, and a part of the change to iteration 2, whose synthetic points "
        "are not evenly spaced, is no effect of the loop."
    )


def seconds(parameters: Parameters, trained: Sequence[int], evaluated: int, whole: bool) -> float:
    """Estimate the core-seconds of one seed of a chain (measured on a 2020s server core)."""
    share = evaluated / len(trained)
    points = sum(trained) * share
    if whole and isinstance(parameters.bandwidth, float):
        points = min(points, trained[-1])  # only new points of a growing pool are summed
    return len(trained) * 4e-5 + points * TEST_POINTS * 1.3e-9


FAMILY = Family(
    name="kernel_density",
    parameters=Parameters,
    metrics={
        "test_nll": Metric("mean negative log-likelihood of real test points", units="nat"),
        "mean_density": Metric("mean fitted density at real test points"),
        "mean_squared_norm": Metric("mean squared norm of the points of the training set"),
        "point_variance": Metric("trace of the covariance of the points of the training set"),
    },
    scores={"distance": Score("Distance of a point from the target.", better="lower")},
    headline=Headline(
        "test_nll",
        worse="higher",
        meaning="The higher, the further the fitted density has spread away from the real data.",
    ),
    figures=(Figure("test-nll", "test_nll", rows="dataset"),),
    minimum_samples=2,
    expectations=expectations,
    remark=remark,
    closed_form=ClosedForm(Simulator, seconds, version=3),
)
