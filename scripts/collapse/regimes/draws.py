"""Random draws of a training set from its pool."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from collapse.regimes.regime import Source


def draw_counts(
    pool: tuple[Source, ...], budget: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Draw how many of ``budget`` samples come from each source of the pool.

    A uniform draw without replacement from the whole pool, seen source by source, is
    multivariate hypergeometric; which samples of a source, a seeded permutation says. So a
    training set is stored and verified in the size of the number of its sources.
    """
    sizes = np.array([source.size for source in pool], dtype=np.int64)
    return generator.multivariate_hypergeometric(sizes, budget, method="marginals")


def draw_positions(
    pool_size: int, budget: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Draw ``budget`` distinct positions of a pool laid end to end, in no particular order.

    The same law as `draw_counts` with a permutation inside each source, in one call: for
    chains that hold their pool in memory.
    """
    return generator.choice(pool_size, budget, replace=False, shuffle=False)
