"""Recursions that give the exact expectation under any regime.

The sources of the pools come from ``Regime.pool``; arrays run over the model-fitting
iterations t = 1..T.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, polygamma

if TYPE_CHECKING:
    from collapse.regimes import Regime, Source

Array = NDArray[np.float64]

#: Above this many samples the iterations to collapse come from the diffusion limit.
EXACT_COLLAPSE_LIMIT = 10_000
_TRUTH = ("truth", 0)


class _Pairs:
    """Second moments between samples of any two sources that can still be in a pool.

    The diagonal is for two distinct samples of one source. All samples of a source are
    alike, so keeping a part of one (``keep_real`` = k < n) only changes its size.
    """

    def __init__(self) -> None:
        self.names: dict[tuple[str, int], None] = {}
        self._table = np.zeros((8, 8))

    @property
    def matrix(self) -> Array:
        return self._table[: len(self.names), : len(self.names)]

    def add(self, name: tuple[str, int], row: Array | float, own: float) -> None:
        """Append a source: its moments with each source before it, and within itself."""
        k = len(self.names)
        if k == len(self._table):
            self._table = np.pad(self._table, (0, k))
        self._table[k, :k] = self._table[:k, k] = row
        self._table[k, k] = own
        self.names[name] = None

    def enter(
        self, pool: Sequence[Source], real: Callable[[], tuple[Array | float, float]]
    ) -> Array:
        """Forget the sources that left, add real ones that arrive; sizes, one per source."""
        sizes: dict[tuple[str, int], int] = {(s.kind, s.iteration): s.size for s in pool}
        kept = [i for i, name in enumerate(self.names) if name in sizes or name == _TRUTH]
        if len(kept) < len(self.names):
            names = list(self.names)
            self._table[: len(kept), : len(kept)] = self._table[np.ix_(kept, kept)]
            self.names = {names[i]: None for i in kept}
        for name in sizes:
            if name not in self.names:
                self.add(name, *real())
        return np.array([sizes.get(name, 0) for name in self.names], dtype=np.float64)


class VarianceFractions(NamedTuple):
    """E[σ_t²] and E[(μ_t - μ0)²] per dimension over t = 1..T, in units of σ0²."""

    variance: Array
    squared_error: Array


@functools.lru_cache(maxsize=256)
def variance_fractions(
    regime: Regime, n: int, iterations: int, unbiased: bool = False
) -> VarianceFractions:
    """Expect this fitted variance and squared error of the mean, any regime (derived here).

    With v_ab = E[(x - x')²]/2 for distinct samples x of source a, x' of source b, and N
    samples drawn uniformly from a pool of P: the maximum-likelihood variance has expectation
    (1 - 1/N) · (average of v over ordered pairs of distinct pool elements), and a sample of
    the model fitted to them has with an older x the average of v over x and each of the P
    elements, plus half of what the unbiased estimator adds. Sums of positive terms only, so
    collapsing variances keep their relative accuracy. μ0 is a source of size 0. Holds in d
    dimensions for tr Σ_t / tr Σ0 and ‖μ_t - μ0‖² / tr Σ0.

    Raises
    ------
    ValueError
        If ``unbiased`` and a training set has a single sample.
    """
    variance, squared_error = np.empty(iterations), np.empty(iterations)
    pairs = _Pairs()
    pairs.add(_TRUTH, 0.0, 0.0)
    for t in range(1, iterations + 1):
        # A new real sample is independent of all there is: v = (E[x²] of the other + 1) / 2.
        m = pairs.enter(regime.pool(t, n), lambda: (pairs.matrix[0] + 0.5, 1.0))
        pool = int(m.sum())
        size = regime.training_size(t, n, pool)
        others = pairs.matrix @ m - pairs.matrix.diagonal()
        average = float(m @ others) / (pool * max(pool - 1, 1))
        likelihood = (1 - 1 / size) * average
        reported = average if unbiased else likelihood
        if unbiased and size < 2:
            raise ValueError(f"no unbiased variance of the single sample of iteration {t}")
        variance[t - 1] = reported
        squared_error[t - 1] = 2 * others[0] / pool - likelihood
        pairs.add(("synthetic", t), others / pool + (reported - likelihood) / 2, reported)
    return VarianceFractions(variance, squared_error)


def memoryless_sizes(regime: Regime, n: int, iterations: int) -> list[int] | None:
    """Training-set sizes if each fit sees nothing but the newest model, else None."""
    sizes = [n]
    for t in range(2, iterations + 1):
        pool = regime.pool(t, n)
        if [(source.kind, source.iteration) for source in pool] != [("synthetic", t - 1)]:
            return None
        sizes.append(regime.training_size(t, n, pool[0].size))
    return sizes


class ReplaceMoments(NamedTuple):
    """Mean and standard deviation of tr Σ_t / tr Σ0 and of ‖μ_t - μ0‖² (Σ0 = I), t = 1..T."""

    trace_ratio: Array
    trace_ratio_deviation: Array
    squared_error: Array
    squared_error_deviation: Array


def gaussian_replace_moments(
    sizes: int | Sequence[int], dimension: int, iterations: int, unbiased: bool = False
) -> ReplaceMoments:
    """Means and standard deviations of a Gaussian chain that replaces its data (derived here).

    ``sizes`` is the training-set size, or that of each iteration (`memoryless_sizes`). The
    scatter is Wishart(m - 1, Σ_{t-1}) and independent of the mean, so E[(tr S)²], E[tr S²],
    E[‖u‖⁴], E[‖u‖² tr S] and E[u'Su], u = μ_t - μ0, obey a closed linear recursion.
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
    """Mean and standard deviation of log(det Σ_t / det Σ0) over t = 1..T."""

    mean: Array
    deviation: Array


def gaussian_replace_log_determinant(
    sizes: int | Sequence[int], dimension: int, iterations: int, unbiased: bool = False
) -> LogDeterminant:
    """Mean and standard deviation of log(det Σ_t / det Σ0) under replace (derived here).

    By Bartlett's decomposition a step adds Σ_{i=1..d} ln χ²(m - i) - d ln m. The mean is
    -inf, with no deviation (NaN), from the first m <= d on: the covariance is singular.
    """
    m = np.broadcast_to(sizes, iterations).astype(float)
    singular = np.logical_or.accumulate(m <= dimension)
    half = (np.where(singular, dimension + 1, m)[:, None] - np.arange(1.0, dimension + 1)) / 2
    divisor = np.where(singular, 1, m - 1 if unbiased else m)[:, None]
    mean = np.cumsum((digamma(half) + np.log(2 / divisor)).sum(axis=1))
    deviation = np.sqrt(np.cumsum(polygamma(1, half).sum(axis=1)))
    return LogDeterminant(np.where(singular, -np.inf, mean), np.where(singular, np.nan, deviation))


@functools.lru_cache(maxsize=256)
def linear_regression_factor(regime: Regime, n: int, iterations: int) -> Array | None:
    """Variance of the fit over that of the first fit, one design X reused (derived here).

    Exact for every regime that trains on its whole pool in shards of c·n samples (X repeated
    c times, labels redrawn), else None. The error of a fit is the average of those of its
    shards, weighted by c; a shard carries the error of the model that wrote it and label
    noise of variance 1/c. Gives t for replace, Σ 1/i² for accumulate (P1, section 2).
    """
    factor = np.empty(iterations)
    errors = _Pairs()
    for t in range(1, iterations + 1):
        m = errors.enter(regime.pool(t, n), lambda: (0.0, 0.0))
        pool = int(m.sum())
        if regime.training_size(t, n, pool) != pool or np.any(m % n):
            return None
        # Covariance of each shard's error with the fit: that of the errors shared with other
        # shards, and of its own label noise, (1/c) · c / Σc.
        shared = (errors.matrix @ m + n) / pool
        factor[t - 1] = m @ shared / pool
        errors.add(("synthetic", t), shared, factor[t - 1])
    return factor


def linear_regression_test_error(
    regime: Regime,
    n: int,
    dimension: int,
    noise_variance: float,
    iterations: int,
    *,
    isotropic: bool = True,
    fresh_design: bool = False,
) -> Array | None:
    """E‖ŵ_t - w*‖²_Σ over t = 1..T, or None where it is infinite or not known exactly.

    n >= d + 2: σ²d/(n-d-1) times `linear_regression_factor` (P1, section 2), for any input
    covariance; with ``fresh_design``, a new X each iteration, Σ σ²d/(m_i-d-1) if only the
    newest model is seen. n <= d - 2, ``isotropic`` and X reused: the minimum-norm solution of
    w* ~ N(0, I) has bias d - n and variance σ²n/(d-n-1) times the factor (derived here).
    """
    d = dimension
    if fresh_design:
        sizes = memoryless_sizes(regime, n, iterations)
        if sizes is None or min(sizes) < d + 2:
            return None
        return noise_variance * np.cumsum(d / (np.array(sizes, dtype=float) - d - 1))
    if abs(n - d) <= 1 or (n < d and not isotropic):
        return None
    factor = linear_regression_factor(regime, n, iterations)
    if factor is None:
        return None
    return max(d - n, 0) + noise_variance * min(n, d) / (abs(n - d) - 1) * factor


def kde_mean_squared_norm_excess(
    regime: Regime,
    n: int,
    bandwidths: Sequence[float] | Array,
    dimension: int,
    iterations: int,
    kernel_variance: float = 1.0,
) -> Array:
    """E‖x‖² of the training set of iteration t minus that of real data, for any regime.

    ``bandwidths`` holds h_t, ``kernel_variance`` is that of one coordinate of the kernel of
    bandwidth 1: 1 for the Gaussian, 1/(d+2) for the top-hat. A sample of model t is a point of
    its training set plus h_t times kernel noise (derived here; FACTS.md, Kernel density).
    """
    excess = np.zeros(iterations)
    sizes = regime.pool_sizes(iterations, n)
    shards, window = [0.0, 0.0], 0.0  # what each shard adds to the pool's total, and their sum
    for t in range(2, iterations + 1):
        written = excess[t - 2] + kernel_variance * dimension * bandwidths[t - 2] ** 2
        shards.append(regime.generated(t, n) * written)
        oldest = 2 if regime.memory is None else max(2, t - regime.memory + 1)
        window = window + shards[t] if regime.memory is None else sum(shards[oldest:])
        excess[t - 1] = window / sizes[t - 1]
    return excess


def discrete_gini_simpson(regime: Regime, n: int, outcomes: int, iterations: int) -> Array:
    """E[1 - Σ p²] of the distribution fitted at t = 1..T from a uniform start (derived here).

    The indicator of an outcome obeys the recursion of `variance_fractions`.
    """
    return (1 - 1 / outcomes) * variance_fractions(regime, n, iterations).variance


@functools.lru_cache(maxsize=256)
def discrete_iterations_to_collapse(n: int, outcomes: int) -> float:
    """E[T], T the first fit with one outcome left, under replace from a uniform start.

    The n samples of fit t descend from A_{t-1} of the real ones, A_0 = n, A next = distinct
    values of A uniform draws from n: P(T > t) = 1 - E[K^(1-A_{t-1})] (derived here), summed
    over t by solving for each A in turn. For n above `EXACT_COLLAPSE_LIMIT` the diffusion
    limit -2n(K-1) ln(1-1/K): time to fixation from frequency 1/K (Kimura & Ohta 1969; FACTS.md).
    """
    if outcomes == 1:
        return 1.0
    if n > EXACT_COLLAPSE_LIMIT:
        return float(-2 * n * (outcomes - 1) * np.log1p(-1 / outcomes))
    undecided = -np.expm1(-np.log(outcomes) * np.arange(-1, n))  # 1 - K^(1-A), at index A
    expected = np.zeros(n + 1)  # E[Σ_t 1 - K^(1-A_t)] from A ancestors, at index A
    occupancy, first = np.ones(1), 1  # P(j distinct values), j = first, first + 1, ...
    for ancestors in range(2, n + 1):
        j = np.arange(first, first + len(occupancy) + 1)
        occupancy = np.append(occupancy * j[:-1], 0) + np.append(0, occupancy * (n - j[:-1]))
        occupancy /= n
        likely = np.flatnonzero(occupancy > 1e-25)  # also keeps the sums off denormal numbers
        first += likely[0]
        occupancy = occupancy[likely[0] : likely[-1] + 1]
        fewer = occupancy[: ancestors - first]
        ahead = fewer @ expected[first : first + len(fewer)]
        expected[ancestors] = (undecided[ancestors] + ahead) / fewer.sum()
    return float(1 + expected[n])
