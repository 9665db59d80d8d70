"""Gaussian chains that train on whole pools: moments over seeds, and determinants.

Under other regimes `collapse.theory.pairs.variance_fractions` has the expectations.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from collapse.theory.pairs import Arrivals

Array = NDArray[np.float64]


class Moments(NamedTuple):
    """Moments of tr Σ_t / tr Σ0 and of ‖μ_t - μ0‖² over seeds, each of shape (iterations,).

    Σ0 = I; for Σ0 = σ0² I the squared error and its deviation are in units of σ0², and
    E‖Σ_t - Σ0‖² is in units of σ0⁴.
    """

    trace_ratio: Array
    trace_ratio_deviation: Array
    squared_error: Array
    squared_error_deviation: Array
    squared_error_of_covariance: Array


class _State(NamedTuple):
    """Expectations over seeds of what the moments of the next fit depend on.

    S is the fitted covariance or the scatter, u the fitted mean: the fields are tr S, (tr S)²,
    tr S², ‖u‖², ‖u‖⁴, ‖u‖² tr S and u'Su.
    """

    s: float
    q: float
    r: float
    e: float
    f: float
    a: float
    b: float

    def scaled(self, c: float) -> _State:
        """Return the state with c S in place of S."""
        return self._replace(
            s=c * self.s, q=c * c * self.q, r=c * c * self.r, a=c * self.a, b=c * self.b
        )


def moments(
    arrivals: Sequence[Arrivals], n: int, dimension: int, unbiased: bool = False
) -> Moments:
    """Means and standard deviations of a Gaussian chain of whole pools.

    Equations (4) to (7) and (15) of ``docs/theory/gaussian.md``, exact for any dimension and size,
    also where the covariance is singular.

    Parameters
    ----------
    arrivals : sequence of Arrivals, shape (iterations - 1,)
        From `collapse.theory.pairs.whole_pools`.
    n : int
        Number of samples of iteration 1.
    dimension : int
    unbiased : bool
        Is the scatter divided by m - 1, or by m (maximum likelihood)?
    """
    nothing = _State(0, 0, 0, 0, 0, 0, 0)
    rows, size, state = [], 0, nothing
    for arriving in (Arrivals(0, 0, n), *arrivals):
        if arriving.synthetic:
            # The model of the iteration before has written; its covariance is in the state.
            divisor = (size - unbiased) if arriving.kept else 0
            state = _after_synthetic(state, arriving.kept, divisor, arriving.synthetic, dimension)
        else:
            state = state.scaled(size - unbiased) if arriving.kept else nothing
        size = arriving.kept + arriving.synthetic
        if arriving.fresh:
            state = _after_fresh(state, size, arriving.fresh, dimension)
            size += arriving.fresh
        state = state.scaled(1 / (size - unbiased))
        spreads = state.q - state.s**2, state.f - state.e**2
        trace, error = (np.sqrt(max(variance, 0)) for variance in spreads)
        covariance = max(state.r - 2 * state.s + dimension, 0)
        rows.append((state.s / dimension, trace / dimension, state.e, error, covariance))
    return Moments(*np.array(rows).T)


def _after_synthetic(x: _State, kept: int, divisor: float, m: int, d: int) -> _State:
    """Return moments of the scatter and mean once m samples of the model have joined.

    Equations (4) and (5) of ``docs/theory/gaussian.md``. ``divisor`` times S is the scatter of the
    training set that stays, of size ``kept``; both are 0 if none does.
    """
    size, freedom = kept + m, m - 1
    step, weight = m / size**2, kept / size  # of the mean, and of its outer product
    linear, square = divisor + freedom + weight, freedom + weight**2
    a = linear * (x.a + step * x.q) + 2 * step * weight * x.r
    b = (divisor + freedom) * (x.b + step * x.r) + weight * (x.b + step * (x.q + 2 * x.r))
    return _State(
        s=linear * x.s,
        q=linear**2 * x.q + 2 * square * x.r,
        r=(linear**2 + square) * x.r + square * x.q,
        e=x.e + step * x.s,
        f=x.f + step * (2 * x.a + 4 * x.b) + step**2 * (x.q + 2 * x.r),
        a=a,
        b=b,
    )


def _after_fresh(x: _State, size: int, m: int, d: int) -> _State:
    """Return moments of the scatter and mean once m real samples have joined ``size`` others.

    Equations (6) and (7) of ``docs/theory/gaussian.md``; S is the scatter, before and after.
    """
    total, freedom, t = size + m, m - 1, 1 / m
    old, new, between = size / total, m / total, size * m / total
    square, fourth = d * t, (d * d + 2 * d) * t * t  # E‖v‖², E‖v‖⁴ of the mean v of the new ones
    gap = x.e + square  # E‖v - u‖²
    gap_squared = x.f + (2 * d + 4) * t * x.e + fourth
    gap_times_trace, gap_in_s = x.a + square * x.s, x.b + t * x.s
    scatter, scatter_squared = freedom * d, freedom * d * (freedom * d + 2)
    trace_of_square = freedom * d * (freedom + 1 + d)
    error = old**2 * x.e + new**2 * square
    error_times_gap = (
        old**2 * x.f + (old**2 + new**2) * square * x.e - 4 * old * new * t * x.e + new**2 * fourth
    )
    inner_squared = (
        old**2 * x.f + ((old - new) ** 2 * t - 2 * old * new * square) * x.e + new**2 * fourth
    )
    return _State(
        s=x.s + scatter + between * gap,
        q=x.q
        + scatter_squared
        + between**2 * gap_squared
        + 2 * (scatter * x.s + between * gap_times_trace + between * scatter * gap),
        r=x.r
        + trace_of_square
        + between**2 * gap_squared
        + 2 * (freedom * x.s + between * gap_in_s + between * freedom * gap),
        e=error,
        f=old**4 * x.f + old**2 * new**2 * (2 * d + 4) * t * x.e + new**4 * fourth,
        a=old**2 * x.a + new**2 * square * x.s + scatter * error + between * error_times_gap,
        b=old**2 * x.b + new**2 * t * x.s + freedom * error + between * inner_squared,
    )


class Law(NamedTuple):
    """Mean and standard deviation over seeds, each of shape (iterations,)."""

    mean: Array
    deviation: Array


def squared_step_of_mean(arrivals: Sequence[Arrivals], n: int, dimension: int) -> Law | None:
    """Mean and standard deviation of (μ_t - μ_{t-1})' Σ_{t-1}⁺ (μ_t - μ_{t-1}).

    Equation (14) of ``docs/theory/gaussian.md``. It is None if fresh real data arrives, or
    if at some iteration no model has written.
    """
    if any(one.fresh or not one.synthetic for one in arrivals):
        return None
    rank, rows = dimension, []
    for one in (Arrivals(0, n, 0), *arrivals):
        step = one.synthetic / one.size**2
        rows.append((rank * step, np.sqrt(2 * rank) * step))
        rank = rank if one.kept else min(rank, one.size - 1)
    return Law(*np.array(rows).T)


def replace_log_determinant(
    sizes: int | Sequence[int], dimension: int, iterations: int, unbiased: bool = False
) -> Law:
    """Mean and standard deviation of ln(det Σ_t / det Σ0) if each fit sees the newest model.

    Equation (10) of ``docs/theory/gaussian.md``, with the sizes m of the training sets. The mean is
    -inf, with no deviation (NaN), from the first size m <= d on: the covariance is
    singular.
    """
    from scipy.special import digamma, polygamma  # chains do without scipy

    m = np.broadcast_to(sizes, iterations).astype(float)
    singular = np.logical_or.accumulate(m <= dimension)
    half = (np.where(singular, dimension + 1, m)[:, None] - np.arange(1.0, dimension + 1)) / 2
    divisor = np.where(singular, 1, m - 1 if unbiased else m)[:, None]
    mean = np.cumsum((digamma(half) + np.log(2 / divisor)).sum(axis=1))
    deviation = np.sqrt(np.cumsum(polygamma(1, half).sum(axis=1)))
    return Law(np.where(singular, -np.inf, mean), np.where(singular, np.nan, deviation))


def accumulating_log_variance(
    arrivals: Sequence[Arrivals], n: int, unbiased: bool = False
) -> Law | None:
    """Mean and standard deviation of ln(σ_t²/σ0²) in one dimension, if no fresh real data arrives.

    Equations (11) and (12) of ``docs/theory/gaussian.md``, the mean to seven digits. It is None
    with fresh real data, or if a training set has a single sample.
    """
    from scipy.special import digamma, polygamma

    if n < 2 or any(one.fresh or one.size < 2 for one in arrivals):
        return None
    size, steps = (
        n,
        [(digamma((n - 1) / 2) + np.log(2 / (n - unbiased)), polygamma(1, (n - 1) / 2))],
    )
    for one in arrivals:
        if one.kept and one.synthetic:
            logarithms, weights = _log_of_weighted_squares(
                size - unbiased, one.synthetic - 1, size / one.size
            )
            mean = weights @ logarithms
            steps.append((mean - np.log(one.size - unbiased), weights @ (logarithms - mean) ** 2))
        elif one.kept:
            steps.append((0.0, 0.0))
        else:
            half = (one.size - 1) / 2
            mean = digamma(half) + np.log(2 / (one.size - unbiased))
            steps.append((mean, polygamma(1, half)))
        size = one.size
    mean, variance = np.cumsum(np.array(steps, dtype=float), axis=0).T
    return Law(mean, np.sqrt(variance))


def _log_of_weighted_squares(constant: float, freedom: int, weight: float) -> tuple[Array, Array]:
    """Return values and probabilities of ln(constant + χ²_freedom + weight χ²_1), by quadrature."""
    many, weights = _quantiles(freedom, 200)
    one, shares = _quantiles(1, 100)
    values: Array = np.log(constant + many[:, None] + weight * one)
    return values.ravel(), np.asarray(np.outer(weights, shares).ravel(), dtype=np.float64)


@functools.lru_cache(maxsize=256)
def _quantiles(freedom: int, count: int) -> tuple[Array, Array]:
    """Return values of χ² with their probabilities: nodes of its quantile function."""
    from scipy.special import chdtri

    # Squeezing the nodes towards both ends, p = 3x² - 2x³, evens out the tails.
    nodes, weights = np.polynomial.legendre.leggauss(count)
    x, w = (nodes + 1) / 2, weights / 2
    upper = (1 - x) ** 2 * (1 + 2 * x)
    values = chdtri(freedom, upper) if freedom else np.zeros(count)
    return np.asarray(values), np.asarray(6 * x * (1 - x) * w)
