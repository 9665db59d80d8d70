"""The formulas of FACTS.md and of the papers, one small function each.

Arrays run over the model-fitting iterations t = 1..T. All but the linear-regression
approximation are special cases of `collapse.theory.recursions`, which the tests hold them to.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def _t(iterations: int) -> Array:
    return np.arange(1, iterations + 1, dtype=np.float64)


def gaussian_replace_variance(n: int, iterations: int) -> Array:
    """E[σ_t²] under replace, maximum likelihood: (1 - 1/n)^t (FACTS.md, Gaussian)."""
    return (1 - 1 / n) ** _t(iterations)


def gaussian_accumulate_variance(n: int, iterations: int) -> Array:
    """E[σ_t²] under accumulate: ∏_{k≤t} (1 - 1/(n k²)) (FACTS.md, Gaussian)."""
    return np.cumprod(1 - 1 / (n * _t(iterations) ** 2), dtype=np.float64)


def gaussian_accumulate_variance_limit(n: int) -> float:
    """Limit of E[σ_t²] under accumulate: sin(π/√n) / (π/√n) (FACTS.md, Gaussian)."""
    return float(np.sinc(1 / np.sqrt(n)))


def gaussian_accumulate_subsample_variance(n: int, iterations: int) -> Array:
    """E[σ_t²] under accumulate-subsample, w_t (1 - f_t/n) (FACTS.md, Gaussian)."""
    t = _t(iterations)
    f = (t - 1) * n / np.maximum(t * n - 1, 1)
    steps = 1 - (1 + f - f / n) / (n * (t + 1) ** 2)
    w = (1 - 1 / n) * np.cumprod(np.append(1.0, steps[:-1]))
    return w * (1 - f / n)


def gaussian_unbiased_replace_squared_error(n: int, iterations: int) -> Array:
    """E[(μ_t - μ0)²] under replace with the n - 1 covariance: t/n, as E[σ_t²] = 1 (FACTS.md)."""
    return _t(iterations) / n


def linear_regression_replace_factor(iterations: int) -> Array:
    """Test error over that of the first fit, replace: t (P1, section 2; FACTS.md)."""
    return _t(iterations)


def linear_regression_accumulate_factor(iterations: int) -> Array:
    """Test error over that of the first fit, accumulate: Σ_{i≤t} 1/i² (P1, section 2)."""
    return np.cumsum(1 / _t(iterations) ** 2)


def kde_replace_excess(bandwidth: float, iterations: int) -> Array:
    """Growth of E‖x‖² per dimension under replace: h² (t - 1) (FACTS.md, Kernel density)."""
    return bandwidth**2 * (_t(iterations) - 1)


def kde_accumulate_excess(bandwidth: float, iterations: int) -> Array:
    """Growth of E‖x‖² per dimension under accumulate: h² (H_t - 1) (FACTS.md)."""
    return bandwidth**2 * (np.cumsum(1 / _t(iterations)) - 1)
