"""Exponential families and generalised linear models: the law of π²/6, for many samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from collapse.theory.pairs import TRUTH, Pairs

if TYPE_CHECKING:
    from collapse.regimes import Regime

Array = NDArray[np.float64]

#: The Gaussian variable over which means are taken, a grid of so small steps that sums are exact
#: to rounding for functions that vary over a hundredth, with its probabilities.
_GRID = np.linspace(-16, 16, 64_001)
_PROBABILITIES = np.exp(-(_GRID**2) / 2)
_PROBABILITIES /= _PROBABILITIES.sum()


def variance_factor(regime: Regime, n: int, iterations: int) -> Array:
    """Variance of the estimate over that of the first fit, for many samples, under any regime.

    Equations (2) and (3) of ``docs/theory/exponential_families.md``: t for replace, Σ_{i≤t} 1/i²
    for accumulate (Dey & Donoho 2024). Shape (iterations,).
    """
    factor = np.empty(iterations)
    pairs = Pairs()
    pairs.add(TRUTH, 0.0, 0.0)
    for t in range(1, iterations + 1):
        m = pairs.enter(regime.pool(t, n), lambda: (pairs.matrix[0] + 0.5, 1.0))
        pool = int(m.sum())
        size = regime.training_size(t, n, pool)
        others = (pairs.matrix @ m - pairs.matrix.diagonal()) / pool
        spread = (1 - 1 / size) * float(m @ others) / max(pool - 1, 1)
        factor[t - 1] = n * (2 * others[0] - spread)
        # Equation (5) of docs/theory/pairs.md for models that know the variance.
        pairs.add(("synthetic", t), others + (1 - spread) / 2, 1.0)
    return factor


def bernoulli_variance_factor(m: int) -> float:
    """Variance of a Bernoulli parameter over that of its first fit, in the limit of accumulate.

    Equation (6) of ``docs/theory/exponential_families.md``, exact for m samples per iteration.
    """
    angle = np.pi / np.sqrt(m)
    return float(m * (1 - np.sin(angle) / angle))


def gaussian_mean(function: Callable[[Array], Array], intercept: float, norm: float) -> float:
    """E f(η) of the linear predictor η = intercept + norm · u, u a standard normal variable."""
    return float(_PROBABILITIES @ function(intercept + norm * _GRID))


def trace_of_inverse_information(
    variance: Callable[[Array], Array], intercept: float, norm: float, dimension: int
) -> float:
    """Trace of the inverse of the information that one sample has on intercept and weights.

    Equation (4) of ``docs/theory/exponential_families.md``, for standard normal features, where
    ``variance`` is that of a label as a function of the linear predictor.
    """
    mass = _PROBABILITIES * variance(intercept + norm * _GRID)
    one, first, second = (float(mass @ _GRID**power) for power in (0, 1, 2))
    along = (one + second) / (one * second - first**2)
    return along + (dimension - 1) / one
