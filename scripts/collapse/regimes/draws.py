"""Draw a training set from its pool at random."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from collapse.regimes.regime import Source


def draw_counts(
    pool: tuple[Source, ...], budget: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Draw how many of ``budget`` samples come from each source of the pool.

    If samples are drawn uniformly without replacement from the whole pool, the counts per source
    are multivariate hypergeometric. A seeded permutation then says which samples of a source are
    meant, so storing and verifying a training set costs O(number of sources).
    """
    sizes = np.array([source.size for source in pool], dtype=np.int64)
    return generator.multivariate_hypergeometric(sizes, budget, method="marginals")


def draw_positions(
    pool_size: int, budget: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Draw ``budget`` distinct positions in a pool whose sources are concatenated, unordered.

    The positions have the same distribution as `draw_counts` with a permutation inside each
    source. One call is enough for chains that hold their pool in memory.
    """
    return generator.choice(pool_size, budget, replace=False, shuffle=False)
