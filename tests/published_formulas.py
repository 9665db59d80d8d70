"""Closed forms of named regimes, of the papers or from docs/theory/, one small function each.

Arrays run over the model-fitting iterations t = 1..T. All are special cases of the recursions in
`collapse.theory`, which the tests hold to them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def _t(iterations: int) -> Array:
    return np.arange(1, iterations + 1, dtype=np.float64)


def gaussian_replace_variance(n: int, iterations: int) -> Array:
    """E[σ_t²] under replace, maximum likelihood: (1 - 1/n)^t (docs/theory/pairs.md, eq. (8))."""
    return (1 - 1 / n) ** _t(iterations)


def gaussian_accumulate_variance(n: int, iterations: int) -> Array:
    """E[σ_t²] under accumulate: ∏_{k≤t} (1 - 1/(n k²)) (docs/theory/pairs.md, eq. (10))."""
    return np.cumprod(1 - 1 / (n * _t(iterations) ** 2), dtype=np.float64)


def gaussian_accumulate_variance_limit(n: int) -> float:
    """Limit of the former: sin(π/√n) / (π/√n) (docs/theory/pairs.md, eq. (10))."""
    return float(np.sinc(1 / np.sqrt(n)))


def gaussian_accumulate_subsample_variance(n: int, iterations: int) -> Array:
    """E[σ_t²] under accumulate-subsample, w_t (1 - f_t/n) (docs/theory/pairs.md, eq. (11))."""
    t = _t(iterations)
    f = (t - 1) * n / np.maximum(t * n - 1, 1)
    steps = 1 - (1 + f - f / n) / (n * (t + 1) ** 2)
    w = (1 - 1 / n) * np.cumprod(np.append(1.0, steps[:-1]))
    return w * (1 - f / n)


def gaussian_unbiased_replace_squared_error(n: int, iterations: int) -> Array:
    """E[(μ_t - μ0)²] under replace if unbiased: t/n (docs/theory/pairs.md, eq. (9))."""
    return _t(iterations) / n


def linear_regression_replace_factor(iterations: int) -> Array:
    """Test error over that of the first fit, replace: t (P1, equation 1)."""
    return _t(iterations)


def linear_regression_accumulate_factor(iterations: int) -> Array:
    """Test error over that of the first fit, accumulate: Σ_{i≤t} 1/i² (P1, Theorem 2)."""
    return np.cumsum(1 / _t(iterations) ** 2)


def kde_replace_excess(bandwidth: float, iterations: int) -> Array:
    """Growth of E‖x‖² a dimension, replace: h² (t - 1) (docs/theory/kernel_density.md, eq. (3))."""
    return bandwidth**2 * (_t(iterations) - 1)


def kde_accumulate_excess(bandwidth: float, iterations: int) -> Array:
    """Growth of E‖x‖² a dimension, accumulate: h² (H_t - 1) (the same equation)."""
    return bandwidth**2 * (np.cumsum(1 / _t(iterations)) - 1)
