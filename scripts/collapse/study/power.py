"""What the seeds of a study can show where many amounts are compared with none (Dunnett 1955).

Every amount of synthetic data is compared with none by the mean difference over seeds, in units of
its standard error: a statistic t, if the error is pooled over the amounts. The comparisons share
none, and so their statistics are correlated, by 1/2 if all amounts scatter alike. A critical value
is what the largest of them stays below, in absolute value, if no amount has an effect.
"""

from __future__ import annotations

import functools

import numpy as np

#: Joint confidence of all comparisons of a table.
CONFIDENCE = 0.95
#: Probability with which an effect that is called detectable is decided.
POWER = 0.8
#: Largest number of seeds that `seeds_for` looks for.
MOST_SEEDS = 10_000


@functools.cache
def critical_value(amounts: int, freedom: int, rows: int = 1) -> float:
    """Return the critical value of the comparisons of some amounts with none.

    Parameters
    ----------
    amounts : int
        Number of amounts that are compared with the same none.
    freedom : int
        Degrees of freedom of the pooled variance.
    rows : int
        Number of such groups of comparisons in a table that is read as a whole.
    """
    # These take a while to import, and most of what imports this module doesn't call it.
    from scipy.optimize import brentq
    from scipy.special import gammaincinv, ndtr

    # Quadrature over the error of none, and over the quantiles of the estimated deviation.
    none, weights = np.polynomial.hermite_e.hermegauss(80)
    nodes, of_quantiles = np.polynomial.legendre.leggauss(400)
    # More nodes towards small deviations, on which a long tail depends.
    quantiles = ((nodes + 1) / 2) ** 3
    of_quantiles = of_quantiles / 2 * 3 * ((nodes + 1) / 2) ** 2
    deviations = np.sqrt(2 * gammaincinv(freedom / 2, quantiles) / freedom)

    def excess(value: float) -> float:
        half = np.sqrt(2) * value * deviations[:, None]
        one = ndtr(none + half) - ndtr(none - half)
        inside = of_quantiles @ (one**amounts @ weights) / weights.sum()
        return float(inside - CONFIDENCE ** (1 / rows))

    return float(brentq(excess, 0.1, 1e6))


def detectable(amounts: int, freedom: int, rows: int = 1) -> float:
    """Return the smallest effect, in standard errors, that is decided with `POWER`."""
    from scipy.special import stdtrit

    return critical_value(amounts, freedom, rows) + float(stdtrit(freedom, POWER))


def detectable_by(seeds: int, amounts: int, rows: int) -> float:
    """Return the smallest effect that a table decides, in standard deviations between seeds.

    The deviation is that of one amount about what all amounts of a seed have in common. With one
    seed it is infinite.
    """
    if seeds < 2:
        return np.inf
    return detectable(amounts, amounts * (seeds - 1), rows) * float(np.sqrt(2 / seeds))


def seeds_for(effect: float, amounts: int, rows: int) -> int:
    """Return the number of seeds with which a table decides an effect, by `detectable_by`."""
    low, high = 1, MOST_SEEDS
    while high - low > 1:
        middle = (low + high) // 2
        if detectable_by(middle, amounts, rows) > effect:
            low = middle
        else:
            high = middle
    return high
