"""Kernel densities: growth of the moments of the points, and the density at real points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from collapse.theory.pairs import Pairs

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


class PointVariance(NamedTuple):
    """The expected variance of points, given the real ones: ``share`` · first + ``added``.

    The first is the variance of the points of iteration 1, summed over coordinates as all of them.
    """

    share: Array
    added: Array


def point_variance(
    regime: Regime,
    n: int,
    bandwidths: Sequence[float] | Array,
    dimension: int,
    iterations: int,
    kernel_variance: float = 1.0,
) -> PointVariance:
    """Return what becomes of the variance of the points of a training set, given real data.

    Equation (6) of ``docs/theory/kernel_density.md``, for regimes without fresh real data. The
    parameters are those of `mean_squared_norm_excess`.
    """
    width = kernel_variance * dimension * np.asarray(bandwidths) ** 2
    # The moments are linear in that of the real data and in the widths of the kernels.
    share = _point_variance(regime, n, iterations, n / max(n - 1, 1), 0 * width)
    return PointVariance(share, _point_variance(regime, n, iterations, 0.0, width))


def _point_variance(regime: Regime, n: int, iterations: int, real: float, width: Array) -> Array:
    pairs, variance = Pairs(), np.empty(iterations)
    for t in range(1, iterations + 1):
        m = pairs.enter(regime.pool(t, n), lambda: (0.0, real))
        pool = int(m.sum())
        others = pairs.matrix @ m - pairs.matrix.diagonal()
        average = float(m @ others) / (pool * max(pool - 1, 1))
        variance[t - 1] = (1 - 1 / regime.training_size(t, n, pool)) * average
        written = variance[t - 1] + width[t - 1]
        pairs.add(("synthetic", t), others / pool + width[t - 1] / 2, written)
    return variance


def displacements(regime: Regime, n: int, iterations: int) -> Array:
    """Return shares of the points of each training set by the number of kernels since real data.

    Equation (7) of ``docs/theory/kernel_density.md``. Shape (iterations, iterations): row t - 1 has
    the shares of points that 0, 1, ... t - 1 kernels have displaced from real ones.
    """
    shares = np.zeros((iterations, iterations))
    shares[0, 0] = 1
    sizes = regime.pool_sizes(iterations, n)
    window = np.zeros(iterations)  # numbers of the points of the pool that models wrote
    for t in range(2, iterations + 1):
        window[1:] += regime.generated(t, n) * shares[t - 2, :-1]
        for gone in range(regime.oldest_arrival(t - 1), regime.oldest_arrival(t)):
            window[1:] -= regime.generated(gone, n) * shares[gone - 2, :-1]
        shares[t - 1] = np.maximum(window, 0) / sizes[t - 1]
        shares[t - 1, 0] = max(0.0, 1 - shares[t - 1, 1:].sum())
    return shares


def density_on_a_line(variance: Array, length: float) -> Array:
    """E φ(x - y) of a normal density φ of a variance, x and y uniform on a line of a length.

    Equation (9) of ``docs/theory/kernel_density.md``.
    """
    from scipy.special import ndtr  # chains do without scipy

    reach = length / np.sqrt(variance)
    height = 1 / np.sqrt(2 * np.pi * variance)
    peaks = 2 * variance / length**2 * height * -np.expm1(-(reach**2) / 2)
    return 2 / length * (ndtr(reach) - 0.5) - peaks


def density_between(points: Array, others: Array, variance: Array) -> Array:
    """Mean isotropic normal density, of each variance, at the differences of two sets of points."""
    squares = ((points[:, None] - others) ** 2).sum(axis=2).ravel()
    dimension = points.shape[1]
    means = [np.exp(squares / (-2 * one)).mean() for one in variance]
    return np.array(means) * (2 * np.pi * variance) ** (-dimension / 2)
