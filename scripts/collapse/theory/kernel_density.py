"""Kernel densities: growth of the second moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collapse.regimes import Regime

Array = NDArray[np.float64]


def mean_squared_norm_excess(
    regime: Regime,
    n: int,
    bandwidths: Sequence[float] | Array,
    dimension: int,
    iterations: int,
    kernel_variance: float = 1.0,
) -> Array:
    """E‖x‖² of the training set of iteration t minus that of real data, under any regime.

    Equation (2) of ``docs/theory/kernel_density.md``.

    Parameters
    ----------
    regime : Regime
    n : int
        Number of initial real samples.
    bandwidths : sequence of float, shape (iterations,)
        Bandwidths h_t, which must not depend on the data.
    dimension : int
    iterations : int
    kernel_variance : float
        Variance κ of a coordinate of the kernel of bandwidth 1: 1 for the Gaussian, 1/(d + 2) for
        the top-hat.

    Returns
    -------
    ndarray, shape (iterations,)
        In squared units of the data.
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
