"""Statistics over seeds that stand beside published ones, with their standard errors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from collapse.study.published_values import PublishedValue

Array = NDArray[np.float64]

#: The statistics that are a mean over seeds.
MEANS = ("mean", "lower", "upper")
#: Ours may differ from what was published by so many standard errors.
LIMIT = 4.0


class Ours(NamedTuple):
    """A statistic of our seeds, and its standard deviation for a single seed.

    Divided by the root of a number of seeds, the deviation is the standard error of so many.
    """

    value: float
    deviation: float


def ours(statistic: str, values: Array, iterations: list[int]) -> Ours:
    """Return our value of a statistic.

    Parameters
    ----------
    statistic : str
        One of those of `PublishedValue`.
    values : ndarray, shape (seeds, len(iterations)), or (seeds, 1)
    iterations : list of int
        The iterations of the columns: two for a ratio or slope.
    """
    one = values[:, -1]
    if statistic == "median":
        # The median of many seeds is normal; its error is told by the quantiles one error apart.
        low, high = np.quantile(one, 0.5 + np.array([-0.5, 0.5]) / np.sqrt(len(one)))
        return Ours(float(np.median(one)), float(high - low) / 2 * np.sqrt(len(one)))
    if statistic == "positive":
        one = (one > 0).astype(float)
    if statistic in ("ratio", "slope"):
        before, after = values.mean(axis=0)
        if statistic == "ratio":
            return Ours(after / before, _spread(one - after / before * values[:, 0]) / abs(before))
        span = np.log(iterations[1] / iterations[0])
        relative = one / after - values[:, 0] / before
        with np.errstate(invalid="ignore", divide="ignore"):
            return Ours(float(np.log(after / before)) / span, _spread(relative) / span)
    return Ours(float(one.mean()), _spread(one))


def _spread(values: Array) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else np.nan


def verdict(value: PublishedValue, found: Ours, seeds: int) -> str:
    """Say whether ours agrees: it is within the tolerance and `LIMIT` combined standard errors.

    The published value has the chance of its repetitions, whose spread is taken to be ours. Of
    bounds only the excess counts. What no spread is known of has to be within the tolerance. Where
    so many errors of ours are as large as the value, or infinite, seeds are too few to tell.
    """
    deviation = float(np.nan_to_num(found.deviation, posinf=np.inf))
    if 0 < abs(value.value) <= LIMIT * deviation / np.sqrt(seeds):
        return "too few seeds"
    number = 1 / seeds + (1 / value.repetitions if value.repetitions else 0.0)
    excess = found.value - value.value
    if value.statistic == "lower":
        excess = min(excess, 0.0)
    if value.statistic == "upper":
        excess = max(excess, 0.0)
    within = abs(excess) <= value.tolerance + LIMIT * deviation * np.sqrt(number)
    return "agrees" if within else "differs"
