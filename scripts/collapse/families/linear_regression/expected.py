"""Theoretical expectations of the metrics of linear regression."""

from __future__ import annotations

from typing import Any

import numpy as np

from collapse.families.declarations import Expectation
from collapse.regimes import NAMED, Regime
from collapse.theory import linear_regression as theory

#: Test error that may come from rounding alone, where it is zero.
ROUNDING = 1e-12


def expectations(
    dimension: int,
    noise: float,
    regime: Regime,
    samples: int,
    iterations: int,
    *,
    fresh: bool,
    isotropic: bool,
) -> dict[str, Expectation]:
    """Return the expected test error and estimate of the noise, where they are known.

    ``noise`` is the variance of the labels' noise, ``fresh`` says whether each iteration has a
    design of its own, and ``isotropic`` whether features have the identity as covariance.
    """
    page = "docs/theory/linear_regression.md"
    options: dict[str, Any] = {"fresh_design": fresh}
    found = {}
    freedom = theory.degrees_of_freedom(regime, samples, dimension, iterations, **options)
    if freedom is not None and noise:
        found["noise_estimate"] = Expectation(
            np.full(iterations, noise), f"{page}, eq. (11)", noise * np.sqrt(2 / freedom)
        )
    chain = (regime, samples, dimension, noise, iterations)
    error = theory.expected_test_error(*chain, isotropic=isotropic, **options)
    if error is not None:
        equation = 9 if fresh else 7 if samples > dimension else 8
        deviation = theory.deviation(*chain, **options)
        if noise == 0 and samples > dimension:
            deviation = np.full_like(error, ROUNDING)
        found["test_error"] = Expectation(error, f"{page}, eq. ({equation})", deviation)
    elif regime == NAMED["accumulate-subsample"] and samples >= 2 * dimension + 2:
        factor = theory.accumulate_subsample_factor(iterations)
        error = noise * dimension / (samples - dimension - 1) * factor
        found["test_error"] = Expectation(error, f"{page}, eq. (10)", exact=False)
    return found
