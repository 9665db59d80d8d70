"""Survival of outcomes that are resampled, and the number of those left: branching and bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from collapse.theory.pairs import memoryless_sizes, whole_pools

if TYPE_CHECKING:
    from collapse.regimes import Regime

Array = NDArray[np.float64]

#: Largest number of distinct probabilities of which the variance of the support is computed.
DISTINCT = 2000


class Bounds(NamedTuple):
    """A lower and an upper bound, of one shape."""

    lower: Array
    upper: Array


class SupportBounds(NamedTuple):
    """Bounds of a mean, and what the standard deviation over seeds is at most."""

    lower: Array
    upper: Array
    deviation: Array


class Support(NamedTuple):
    """Mean and standard deviation over seeds of the number of distinct outcomes.

    ``spread`` says whether the deviation is exact or only of the right order.
    """

    mean: float
    deviation: float
    spread: Literal["exact", "scale"]


def rates(iterations: int) -> Array:
    """g_1..g_T, the iterates of 1 - exp(-g) from infinity on, between 1/k and 3/k.

    Equation (1) of ``docs/theory/survival.md`` (Suresh et al. 2025). Shape (iterations,).
    """
    found = np.ones(iterations)
    for k in range(1, iterations):
        found[k] = -np.expm1(-found[k - 1])
    return found


def poisson_survival(n: int, rate: float, iterations: int) -> Array:
    """P(λ_k > 0) of a Poisson rate that is refitted to n of its own counts; (iterations,).

    Equation (2) of ``docs/theory/survival.md``, exact.
    """
    return -np.expm1(-n * rate * rates(iterations))


def outcome_survival(n: int, probability: Array, iterations: int) -> Bounds:
    """Bound the probability that outcomes are left under replace; (iterations, outcomes).

    Equations (3) to (5) of ``docs/theory/survival.md``, for n samples per iteration.
    """
    k = np.arange(1, iterations + 1)[:, None]
    extinct = np.exp(-n * probability * rates(iterations)[:, None])
    factor = 1 - 3 * n * probability**2 - 3 * k * probability
    first = 1 - (1 - probability) ** n
    upper = np.minimum(1 - np.maximum(factor, 0) * extinct, first)
    # An outcome that is left was there at all iterations before.
    return Bounds(1 - extinct, np.minimum.accumulate(upper, axis=0))


def support_bounds(
    regime: Regime, n: int, probabilities: Array, iterations: int
) -> SupportBounds | None:
    """Bound the expected number of outcomes that are left, (iterations,), or None if not known.

    Equations (6) and (8) of ``docs/theory/survival.md``: under replace with n samples each time.
    """
    if memoryless_sizes(regime, n, iterations) != [n] * iterations:
        return None
    values, counts = np.unique(probabilities, return_counts=True)
    lower, upper = outcome_survival(n, values, iterations)
    likely = np.clip(0.5, lower, upper)  # where survival is least certain
    deviation = np.sqrt((likely * (1 - likely)) @ counts)
    # One outcome is always left.
    return SupportBounds(np.maximum(lower @ counts, 1.0), upper @ counts, deviation)


def kept_support(regime: Regime, n: int, probabilities: Array, iterations: int) -> Support | None:
    """Return the number of distinct outcomes among n real samples, if no iteration loses any.

    Equation (7) of ``docs/theory/survival.md``, under regimes that keep all and add no real data.
    """
    arrivals, size = whole_pools(regime, n, iterations), n
    if arrivals is None:
        return None
    for one in arrivals:
        if one.kept != size or one.fresh:
            return None
        size = one.size
    p, counts = np.unique(probabilities[probabilities > 0], return_counts=True)
    missing = (1 - p) ** n
    mean = float(counts @ (1 - missing))
    if len(p) > DISTINCT:
        return Support(mean, float(np.sqrt(counts @ (missing * (1 - missing)))), "scale")
    both = np.maximum(1 - p[:, None] - p, 0) ** n
    own = missing - np.maximum(1 - 2 * p, 0) ** n  # the two are one outcome
    variance = counts @ (both - missing[:, None] * missing) @ counts + counts @ own
    return Support(mean, float(np.sqrt(max(variance, 0.0))), "exact")
