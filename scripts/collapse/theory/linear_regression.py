"""Linear regression on labels of earlier models: expected test error."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from collapse.theory import weights
from collapse.theory.pairs import Pairs, memoryless_sizes

if TYPE_CHECKING:
    from collapse.regimes import Regime

Array = NDArray[np.float64]


@functools.lru_cache(maxsize=256)
def variance_factor(regime: Regime, n: int, iterations: int) -> Array | None:
    """Variance of the fitted weights over that of the first fit, with one design X reused.

    Equations (3) and (4) of ``docs/theory/linear_regression.md``: t for replace, Σ_{i≤t} 1/i²
    for accumulate (P1, equation 1 and Theorem 2). Shape (iterations,). It is None for regimes that
    train on a part of their pool, or on shards whose size is no multiple of n, and for those whose
    samples do not have the same weight in every row of the design, or are of a population.
    """
    if regime.population is not None:
        return None
    scored = regime.weigh is not None and regime.weigh.score is not None
    if regime.select is not None or scored or regime.provenance == "bernoulli":
        return None
    factor = np.empty(iterations)
    errors = Pairs()
    for t in range(1, iterations + 1):
        m = errors.enter(regime.pool(t, n), lambda: (0.0, 0.0))
        pool = int(m.sum())
        if regime.training_size(t, n, pool) != pool or np.any(m % n):
            return None
        # Covariance of each shard's error with that of the fit, equation (3).
        is_real = np.array([kind in ("real", "fresh") for kind, _ in errors.names])
        shares = weights.shares_of(regime, t, m, is_real)
        shared = errors.matrix @ shares + n * shares / m
        factor[t - 1] = shares @ shared
        errors.add(("synthetic", t), shared, factor[t - 1])
    return factor


def expected_test_error(
    regime: Regime,
    n: int,
    dimension: int,
    noise_variance: float,
    iterations: int,
    *,
    isotropic: bool = True,
    fresh_design: bool = False,
) -> Array | None:
    """E‖ŵ_t - w*‖²_Σ, or None where it is infinite or not known exactly.

    Equations (7) to (9) of ``docs/theory/linear_regression.md``, in units of squared labels.

    Parameters
    ----------
    regime : Regime
    n : int
        Number of rows of the design.
    dimension : int
        Number of features d.
    noise_variance : float
        Variance σ² of the label noise.
    iterations : int
        Number T of fits.
    isotropic : bool
        Is Σ = I? It matters where n < d.
    fresh_design : bool
        Does every iteration draw its own X, or do all share one?

    Returns
    -------
    ndarray, shape (iterations,), or None
    """
    d = dimension
    if fresh_design:
        sizes = memoryless_sizes(regime, n, iterations)
        if sizes is None or min(sizes) < d + 2:
            return None
        return noise_variance * np.cumsum(d / (np.array(sizes, dtype=float) - d - 1))
    if abs(n - d) <= 1 or (n < d and not isotropic):
        return None
    factor = variance_factor(regime, n, iterations)
    if factor is None:
        return None
    return max(d - n, 0) + noise_variance * min(n, d) / (abs(n - d) - 1) * factor


def degrees_of_freedom(
    regime: Regime, n: int, dimension: int, iterations: int, *, fresh_design: bool = False
) -> Array | None:
    """Return those of the residuals of each fit, or None where there are none or labels differ.

    Equation (11) of ``docs/theory/linear_regression.md``. Shape (iterations,).
    """
    if fresh_design:
        sizes = memoryless_sizes(regime, n, iterations)
        freedom = None if sizes is None else np.array(sizes, dtype=float) - dimension
    else:
        whole = regime.is_plain and variance_factor(regime, n, iterations) is not None
        freedom = np.full(iterations, float(n - dimension)) if whole else None
    return None if freedom is None or freedom.min() < 1 else freedom


def deviation(
    regime: Regime,
    n: int,
    dimension: int,
    noise_variance: float,
    iterations: int,
    *,
    fresh_design: bool = False,
) -> Array:
    """Return the standard deviation over seeds of ‖ŵ_t - w*‖²_Σ, infinite for |n - d| <= 3.

    Equations (12) to (15) of ``docs/theory/linear_regression.md``, where `expected_test_error` is
    not None, else NaN; the parameters are those of that function.
    """
    d = dimension
    if fresh_design:
        sizes = memoryless_sizes(regime, n, iterations)
        added = np.full(iterations, np.nan) if sizes is None else _fresh_variances(sizes, d)
        return noise_variance * np.sqrt(np.cumsum(added))
    factor = variance_factor(regime, n, iterations)
    if factor is None:
        return np.full(iterations, np.nan)
    square, squares = _inverse_wishart(max(n, d), min(n, d))
    mean = min(n, d) / (abs(n - d) - 1)
    fitted = square + 2 * squares - mean**2
    return np.sqrt(2 * max(d - n, 0) + (noise_variance * factor) ** 2 * fitted)


def _inverse_wishart(n: int, d: int) -> tuple[float, float]:
    """E(tr W⁻¹)² and E tr W⁻² of a d × d Wishart matrix of n degrees of freedom, equation (12)."""
    m = n - d
    if m <= 3:
        return np.inf, np.inf
    common = d / (m * (m - 1) * (m - 3))
    return common * (d * (m - 2) + 2), common * (n - 1)


def _fresh_variances(sizes: Sequence[int], d: int) -> Array:
    """What each fit adds to the variance of the error, in units of σ⁴, equation (15)."""
    added, total = [], 0.0
    for m in sizes:
        square, squares = _inverse_wishart(m, d)
        mean = d / (m - d - 1)
        # The traces are independent, and E tr W_i⁻¹ W_j⁻¹ is the product of their means over d.
        added.append(square - mean**2 + 2 * squares + 4 * total * mean / d)
        total += mean
    return np.array(added)


def accumulate_subsample_factor(iterations: int) -> Array:
    """Test error over that of the first fit under accumulate-subsample, approximately, for n ≫ d.

    Equation (10) of ``docs/theory/linear_regression.md``. Shape (iterations,).
    """
    t = np.arange(1, iterations + 1, dtype=np.float64)
    u = np.cumsum(np.append(1.0, (2 - 1 / t[:-1]) / t[1:] ** 2))
    return u + 1 - 1 / t
