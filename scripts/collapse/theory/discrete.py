"""Distributions over K outcomes: heterozygosity, its spread, and iterations to collapse."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from collapse.theory.pairs import Arrivals, variance_fractions

if TYPE_CHECKING:
    from collapse.regimes import Regime

Array = NDArray[np.float64]

#: Above this many samples the iterations to collapse come from the diffusion limit.
EXACT_COLLAPSE_LIMIT = 10_000


class Start(NamedTuple):
    """The true distribution: distinct positive probabilities, and of how many outcomes each is."""

    values: tuple[float, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, probabilities: Array) -> Start:
        """Return the start with the probabilities of all outcomes."""
        values, counts = np.unique(probabilities[probabilities > 0], return_counts=True)
        return cls(tuple(values.tolist()), tuple(counts.tolist()))

    @property
    def outcomes(self) -> int:
        """Number of outcomes with a positive probability."""
        return sum(self.counts)

    def moment(self, power: int) -> float:
        """Return Σ p^power, which is accurate for uniform starts."""
        return float(np.array(self.counts) @ np.array(self.values) ** power)


def uniform(outcomes: int) -> Start:
    """Return the start at which all outcomes are equally likely."""
    return Start((1 / outcomes,), (outcomes,))


def gini_simpson(regime: Regime, n: int, start: Start, iterations: int) -> Array:
    """E[1 - Σ p²] of the distribution fitted at each iteration.

    Equation (1) of ``docs/theory/discrete.md``, under any regime. Shape (iterations,).
    """
    return (1 - start.moment(2)) * variance_fractions(regime, n, iterations).variance


def gini_simpson_deviation(
    arrivals: Sequence[Arrivals] | None, n: int, start: Start
) -> Array | None:
    """Return the standard deviation over seeds of 1 - Σ p², of a chain of whole pools.

    Equations (9) to (11) of ``docs/theory/discrete.md``. Shape (iterations,). It is None if pools
    are not whole, or if fresh real samples arrive that are not uniform.
    """
    truth = 1 / start.outcomes
    uneven = len(start.values) > 1
    if arrivals is None or (uneven and any(arriving.fresh for arriving in arrivals)):
        return None
    # E Σp², E Σp³ and Var Σp² of the training set so far. The first one is drawn from the truth.
    model, size, rows = (start.moment(2), start.moment(3), 0.0), 0, []
    for arriving in (Arrivals(0, n, 0), *arrivals):
        size = arriving.kept
        if arriving.synthetic:
            model = _after_synthetic(*model, size, arriving.synthetic)
            size += arriving.synthetic
        if arriving.fresh:
            model = _after_fresh(*model, truth, size, arriving.fresh)
        rows.append((1 - model[0], model[2]))
    gini, variance_of = np.array(rows).T
    # Next to collapse rounding prevails; the variance is below the mean times the largest value.
    variance_of = np.where(gini < 1e-9, (1 - truth) * np.maximum(gini, 0), variance_of)
    return np.sqrt(np.maximum(variance_of, 0))


def gini_simpson_scale(gini: Array, drift: Array, start: Start) -> Array:
    """Return the order of the standard deviation of 1 - Σ p², given its mean; equation (8).

    ``drift`` is the squared error of the mean of samples, in units of their variance.
    """
    second, third = start.moment(2), start.moment(3)
    around = (1 - second - gini) ** 2 * 2 / max(start.outcomes - 1, 1)
    return np.sqrt(around + 4 * max(third - second**2, 0.0) * drift)


def _after_synthetic(
    second: float, third: float, variance: float, kept: int, m: int
) -> tuple[float, float, float]:
    """Return the moments once m samples of the model joined its training set, or replaced it."""
    size = kept + m
    square = variance + second**2  # E(Σp²)²
    spread = third - square  # E[Σp³ - (Σp²)²], a variance of p under p
    own = 2 * (m - 1) / m**3 * (2 * (m - 2) * spread + second - square)
    noise = 4 * kept**2 * m * spread + 8 * kept * m * (m - 1) * spread + m**4 * own
    pairs_kept = kept**2 + 2 * kept * m + m * (m - 1)
    cubes = (
        (kept**3 + 3 * kept**2 * m + 3 * kept * m * (m - 1) + m * (m - 1) * (m - 2)) * third
        + 3 * (kept * m + m * (m - 1)) * second
        + m
    )
    kept_share = pairs_kept / size**2
    return (
        kept_share * second + m / size**2,
        cubes / size**3,
        kept_share**2 * variance + noise / size**4,
    )


def _after_fresh(
    second: float, third: float, variance: float, truth: float, kept: int, m: int
) -> tuple[float, float, float]:
    """Return the moments once m real samples joined a training set of the size ``kept``."""
    size = kept + m
    own = 2 * (m - 1) / m**3 * truth * (1 - truth)  # Var Σq² of m uniform draws
    noise = 4 * kept**2 * m * (second * truth - truth**2) + m**4 * own
    pairs = 2 * kept * m * truth + m * (m - 1) * truth + m
    cubes = (
        kept**3 * third
        + 3 * kept**2 * m * truth * second
        + 3 * kept * (m * (m - 1) * truth**2 + m * truth)
        + m * (m - 1) * (m - 2) * truth**2
        + 3 * m * (m - 1) * truth
        + m
    )
    share = kept / size
    return (
        share**2 * second + pairs / size**2,
        cubes / size**3,
        share**4 * variance + noise / size**4,
    )


class Collapse(NamedTuple):
    """Mean and standard deviation over seeds of the first fit with one outcome left."""

    mean: float
    deviation: float


@functools.lru_cache(maxsize=256)
def iterations_to_collapse(n: int, start: Start) -> Collapse:
    """E[T] and its deviation, T the first fit with one outcome left, under replace.

    Equations (4) to (6) and (12) of ``docs/theory/discrete.md``; for n above
    `EXACT_COLLAPSE_LIMIT` their limits, equations (7) and (13).
    """
    if start.outcomes == 1:
        return Collapse(1.0, 0.0)
    if n > EXACT_COLLAPSE_LIMIT:
        return _diffusion_limit(n, start)
    undecided = np.zeros(n + 1)  # 1 - Σ p^a, at index a
    for value, count in zip(*start, strict=True):
        undecided[1:] -= count * value * np.expm1(np.log(value) * np.arange(n))
    expected = np.zeros(n + 1)  # F(a), at index a
    later = np.zeros(n + 1)  # G(a), at index a
    occupancy, first = np.ones(1), 1  # P(j distinct values), j = first, first + 1, ...
    for ancestors in range(2, n + 1):
        j = np.arange(first, first + len(occupancy) + 1)
        occupancy = np.append(occupancy * j[:-1], 0) + np.append(0, occupancy * (n - j[:-1]))
        occupancy /= n
        likely = np.flatnonzero(occupancy > 1e-25)  # also keeps the sums off denormal numbers
        first += likely[0]
        occupancy = occupancy[likely[0] : likely[-1] + 1]
        fewer = occupancy[: ancestors - first]
        leaving = fewer.sum()
        reached = slice(first, first + len(fewer))
        expected[ancestors] = (undecided[ancestors] + fewer @ expected[reached]) / leaving
        ahead = expected[ancestors] - undecided[ancestors]
        later[ancestors] = (ahead + fewer @ later[reached]) / leaving
    variance = 2 * later[n] + expected[n] - expected[n] ** 2
    return Collapse(float(1 + expected[n]), float(np.sqrt(max(variance, 0.0))))


def _diffusion_limit(n: int, start: Start) -> Collapse:
    from scipy.special import spence  # chains do without scipy

    p, counts = np.array(start.values), np.array(start.counts)
    decided = (1 - p) * np.log1p(-p)
    mean = float(-2 * n * (counts @ decided))
    # spence(1 - p) is the dilogarithm of p.
    later = 4 * n**2 * float(np.pi**2 / 6 - counts @ (p * spence(1 - p) - decided))
    return Collapse(mean, float(np.sqrt(2 * later - mean**2)))
