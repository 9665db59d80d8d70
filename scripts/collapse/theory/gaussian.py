"""Gaussian chains in which each fit sees the newest model alone: moments and determinants.

Under other regimes `collapse.theory.pairs.variance_fractions` has the expectations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class ReplaceMoments(NamedTuple):
    """Moments of tr Σ_t / tr Σ0 and of ‖μ_t - μ0‖² over seeds, each of shape (iterations,).

    Σ0 = I; for Σ0 = σ0² I the squared error and its deviation are in units of σ0².
    """

    trace_ratio: Array
    trace_ratio_deviation: Array
    squared_error: Array
    squared_error_deviation: Array


def replace_moments(
    sizes: int | Sequence[int], dimension: int, iterations: int, unbiased: bool = False
) -> ReplaceMoments:
    """Means and standard deviations of a Gaussian chain in which each fit sees the newest model.

    Equations (4) and (5) of ``docs/theory/gaussian.md``, exact for any dimension and size, also
    where the covariance is singular.

    Parameters
    ----------
    sizes : int or sequence of int, shape (iterations,)
        Size m of the training sets (`collapse.theory.pairs.memoryless_sizes`).
    dimension : int
    iterations : int
    unbiased : bool
        Is the scatter divided by m - 1, or by m (maximum likelihood)?
    """
    d = dimension
    s, ss, s2, u, uu, us, usu = float(d), float(d * d), float(d), 0.0, 0.0, 0.0, 0.0
    rows = np.empty((iterations, 4))
    for row, m in zip(rows, np.broadcast_to(sizes, iterations).astype(float), strict=True):
        freedom, scale = m - 1, 1 / (m - 1 if unbiased else m)
        shrink = freedom * scale
        u, uu = u + s / m, uu + (2 * us + 4 * usu) / m + (ss + 2 * s2) / m**2
        us, usu = shrink * (us + ss / m), shrink * (usu + s2 / m)
        s, ss, s2 = (
            shrink * s,
            scale * shrink * (freedom * ss + 2 * s2),
            scale * shrink * ((freedom + 1) * s2 + ss),
        )
        row[:] = s / d, np.sqrt(max(ss - s * s, 0)) / d, u, np.sqrt(max(uu - u * u, 0))
    return ReplaceMoments(*rows.T)


class LogDeterminant(NamedTuple):
    """Mean and standard deviation of ln(det Σ_t / det Σ0), each of shape (iterations,)."""

    mean: Array
    deviation: Array


def replace_log_determinant(
    sizes: int | Sequence[int], dimension: int, iterations: int, unbiased: bool = False
) -> LogDeterminant:
    """Mean and standard deviation of ln(det Σ_t / det Σ0) if each fit sees the newest model.

    Equation (8) of ``docs/theory/gaussian.md``. The parameters are those of `replace_moments`. The
    mean is -inf, with no deviation (NaN), from the first size m <= d on: the covariance is
    singular.
    """
    from scipy.special import digamma, polygamma  # chains do without scipy

    m = np.broadcast_to(sizes, iterations).astype(float)
    singular = np.logical_or.accumulate(m <= dimension)
    half = (np.where(singular, dimension + 1, m)[:, None] - np.arange(1.0, dimension + 1)) / 2
    divisor = np.where(singular, 1, m - 1 if unbiased else m)[:, None]
    mean = np.cumsum((digamma(half) + np.log(2 / divisor)).sum(axis=1))
    deviation = np.sqrt(np.cumsum(polygamma(1, half).sum(axis=1)))
    return LogDeterminant(np.where(singular, -np.inf, mean), np.where(singular, np.nan, deviation))
