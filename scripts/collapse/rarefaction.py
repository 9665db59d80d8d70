"""Metrics of sets of samples at equal numbers: what a smaller number of the samples would score.

Many metrics depend on how many samples there are: more samples show more modes, repeat more of
each other, and follow a distribution more closely. So that two sets can be compared, such a metric
is computed as its expected value for a subset of a fixed size, drawn without replacement. In
ecology this is called rarefaction (Sanders 1968, Hurlbert 1971). The expectation is unbiased: it is
the same for any number of independent samples that is at least the size of the subset.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

#: Number of samples that metrics are computed for, where there are so many.
NUMBER = 100
#: Number of random subsets over which a metric is averaged that has no formula.
SUBSETS = 400


def equal_number(*counts: int) -> int:
    """Return the number of samples at which sets of these sizes are compared."""
    return min(NUMBER, *counts)


def absent(held: ArrayLike, total: int, number: int) -> Array:
    """Return the probability that a subset has none of some samples.

    Parameters
    ----------
    held : array_like of int
        Numbers of samples, each at most ``total``.
    total, number : int
        Numbers of all samples, and of those that the subset has.
    """
    left = np.arange(total, 0, -1)
    factors = np.maximum(left - number, 0) / left
    found: Array = np.append(1.0, np.cumprod(factors))[np.asarray(held, dtype=np.int64)]
    return found


def subsets(counts: ArrayLike, number: int) -> NDArray[np.int64]:
    """Return how often each kind of sample occurs in random subsets, one subset a row.

    They are the same whenever they are drawn; a subset of all samples is drawn once.
    """
    found = np.asarray(counts, dtype=np.int64)
    if number == found.sum():
        return found[None]
    generator = np.random.default_rng(0)
    return generator.multivariate_hypergeometric(found, number, SUBSETS, method="marginals")


def samples_of(shares: ArrayLike, number: int) -> NDArray[np.int64]:
    """Return how often each kind occurs among independent samples of a distribution, by row."""
    generator: Any = np.random.default_rng(0)
    found: NDArray[np.int64] = generator.multinomial(number, shares, SUBSETS)
    return found
