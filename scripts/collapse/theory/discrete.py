"""Distributions over K outcomes: heterozygosity, and iterations to collapse."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from collapse.theory.pairs import variance_fractions

if TYPE_CHECKING:
    from collapse.regimes import Regime

Array = NDArray[np.float64]

#: Above this many samples the iterations to collapse come from the diffusion limit.
EXACT_COLLAPSE_LIMIT = 10_000


def gini_simpson(regime: Regime, n: int, outcomes: int, iterations: int) -> Array:
    """E[1 - Σ p²] of the distribution fitted at each iteration, from a uniform start.

    Equation (1) of ``docs/theory/discrete.md``, under any regime. Shape (iterations,).
    """
    return (1 - 1 / outcomes) * variance_fractions(regime, n, iterations).variance


@functools.lru_cache(maxsize=256)
def iterations_to_collapse(n: int, outcomes: int) -> float:
    """E[T], T the first fit with one outcome left, under replace from a uniform start.

    Equations (3) to (5) of ``docs/theory/discrete.md``; for n above `EXACT_COLLAPSE_LIMIT`
    their limit, equation (6).
    """
    if outcomes == 1:
        return 1.0
    if n > EXACT_COLLAPSE_LIMIT:
        return float(-2 * n * (outcomes - 1) * np.log1p(-1 / outcomes))
    undecided = -np.expm1(-np.log(outcomes) * np.arange(-1, n))  # 1 - K^(1-a), at index a
    expected = np.zeros(n + 1)  # F(a), at index a
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
