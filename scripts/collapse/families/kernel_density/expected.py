"""Theoretical expectations of kernel densities: moments of points, and densities at real ones."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from collapse.data import toy
from collapse.families.declarations import Expectation
from collapse.regimes import Regime
from collapse.theory import kernel_density as theory

Array = NDArray[np.float64]

#: Data sets along curves, with the angle at which each curve ends, and number of midpoints.
CURVES, NODES = {"circles": 2 * np.pi, "moons": np.pi}, 400

#: Rough mean squared norms of real points, for scales alone.
_SQUARED_NORM = {"blobs": 68.0, "circles": 0.8, "moons": 0.9, "swiss_roll": 230.0}


def expectations(
    dataset: str,
    kernel: str,
    regime: Regime,
    samples: int,
    test_points: int,
    bandwidths: Array,
    *,
    independent: bool,
) -> dict[str, Expectation]:
    """Return the expectation of each metric for which there is one.

    Parameters
    ----------
    dataset, kernel : str
    regime : Regime
    samples : int
    test_points : int
        Number of real test points.
    bandwidths : ndarray, shape (iterations,)
        Bandwidths of each iteration, which do not depend on the data.
    independent : bool
        Whether real points are independent rather than evenly spaced.
    """
    dimension, iterations = toy.DIMENSIONS[dataset], len(bandwidths)
    fresh = {regime.fresh(t, samples) for t in range(2, iterations + 1)}
    if not independent and fresh - {0, samples}:
        return {}  # points are evenly spaced: a real shard of another size has other moments
    # Variance of a kernel of bandwidth 1 in each dimension.
    variance = 1.0 if kernel == "gaussian" else 1 / (dimension + 2)
    moments = (regime, samples, bandwidths, dimension, iterations, variance)
    excess = theory.mean_squared_norm_excess(*moments)
    steps = np.sqrt(np.arange(iterations) * 2 / (samples * dimension))
    page = "docs/theory/kernel_density.md"
    found = {
        "mean_squared_norm": Expectation(
            excess,
            f"{page}, eq. (2)",
            (_SQUARED_NORM[dataset] + excess) * steps,
            spread="scale",
            of_first=np.ones(iterations),
        )
    }
    if fresh <= {0}:
        share, added = theory.point_variance(*moments)
        size = _SQUARED_NORM[dataset] * share + added
        found["point_variance"] = Expectation(
            added, f"{page}, eq. (6)", size * steps, spread="scale", of_first=share
        )
    if kernel == "gaussian" and np.ptp(bandwidths) == 0:
        counts = None if independent else (samples, test_points)
        mean, square = _mean_densities(dataset, regime, samples, counts, bandwidths)
        trained = regime.training_sizes(iterations, samples)
        # Of independent points at the least that of single pairs; more if many kernels overlap.
        variance_of = (square - mean**2) / (test_points * np.array(trained))
        found["mean_density"] = Expectation(
            mean,
            f"{page}, eq. (8)",
            np.sqrt(variance_of + (0.05 * mean) ** 2 / samples),
            spread="least" if independent or dataset not in CURVES else "scale",
        )
    return found


def _mean_densities(
    dataset: str,
    regime: Regime,
    samples: int,
    counts: tuple[int, int] | None,
    bandwidths: Array,
) -> tuple[Array, Array]:
    """Mean over pairs of test and training points of the kernel's density, and of its square."""
    iterations, width = len(bandwidths), float(bandwidths[0] ** 2)
    shares = theory.displacements(regime, samples, iterations)
    moved = width * np.arange(iterations)
    # The square of a normal density is one of half the variance, times a constant.
    peak = (4 * np.pi * width) ** (-toy.DIMENSIONS[dataset] / 2)
    mean, square = (
        shares @ _densities(dataset, counts, tuple(moved + kernel)) for kernel in (width, width / 2)
    )
    return mean, peak * square


@functools.lru_cache(maxsize=64)
def _densities(dataset: str, counts: tuple[int, int] | None, kernels: tuple[float, ...]) -> Array:
    """Mean normal density at real test points around real points, for variances of the normal.

    ``counts`` are the numbers of training and test points, evenly spaced; None of independent
    points. Equations (9) and (10) of ``docs/theory/kernel_density.md``.
    """
    variance = np.array(kernels)
    if dataset == "blobs":
        same = 1 / toy.CENTRES if counts is None else _same_cluster(*counts)
        apart = theory.density_on_a_line(variance + 2, toy.BOX) ** 2
        together: Array = 1 / (2 * np.pi * (variance + 2))
        return same * together + (1 - same) * apart
    blurred = variance + 2 * toy.NOISE**2
    if dataset == "swiss_roll":
        height = theory.density_on_a_line(blurred, toy.ROLL)
        return height * np.concatenate([_spiral_density(one) for one in blurred])
    if counts is None:  # midpoints of the curves, much denser than the noise is wide
        angles = (np.arange(NODES) + 0.5) / NODES * CURVES[dataset]
        points = getattr(toy, f"{dataset}_at")(angles, angles)
        return theory.density_between(points, points, blurred)
    train, test = map(getattr(toy, dataset), counts)
    return theory.density_between(train, test, blurred)


def _same_cluster(*counts: int) -> float:
    """Share of pairs of a training and a test point that are of one cluster, by turns."""
    shares = [
        np.bincount(np.arange(count) % toy.CENTRES, minlength=toy.CENTRES) / count
        for count in counts
    ]
    return float(shares[0] @ shares[1])


def _spiral_density(variance: float) -> Array:
    """Mean normal density at the difference of two random points of the spiral, by midpoints."""
    # The spiral is 90 long, and at most one and a half times as fast at its end as on average.
    nodes = int(np.ceil(90 * 1.5 / np.sqrt(variance)))
    points = toy.spiral((np.arange(nodes) + 0.5) / nodes)
    return theory.density_between(points, points, np.array([variance]))
