"""The two- and three-dimensional toy data sets of P2, as scikit-learn defines them.

They are drawn here, not by `sklearn.datasets`, whose import costs three seconds in each of
hundreds of short jobs and which takes no `numpy.random.Generator`; the tests compare both.
Noise is 0.05 (docs/reproduction.md, "Kernel density estimation").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

DIMENSIONS = {"blobs": 2, "circles": 2, "moons": 2, "swiss_roll": 3}
NOISE = 0.05
CENTRES = 3

Array = NDArray[np.float64]


def centres(generator: np.random.Generator) -> Array:
    """Draw the centres of the blobs, which training and test data must share.

    They are drawn apart from the points; the published code drew new ones for the test set
    (docs/reproduction.md, mistake 1).
    """
    return generator.uniform(-10.0, 10.0, size=(CENTRES, 2))


def draw(
    name: str,
    count: int,
    generator: np.random.Generator,
    *,
    independent: bool = False,
    **truth: Any,
) -> Array:
    """Draw ``count`` points of a data set, in random order.

    Parameters
    ----------
    name : {"blobs", "circles", "moons", "swiss_roll"}
    count : int
    generator : numpy.random.Generator
    independent : bool
        Whether points are independent of each other. Otherwise they are scikit-learn's: those of
        circles and moons are an even grid along the curves, with noise, and blobs have equal
        numbers of points. (Points of the Swiss roll are independent in either case.)
    **truth
        Parameters of the distribution: ``centres`` for blobs.

    Returns
    -------
    ndarray, shape (count, dimensions)
    """
    return generator.permutation(_DRAW[name](count, generator, independent, **truth))


def _blobs(count: int, generator: np.random.Generator, independent: bool, centres: Array) -> Array:
    clusters = len(centres)
    cluster = generator.integers(clusters, size=count) if independent else np.arange(count)
    return centres[cluster % clusters] + generator.standard_normal((count, centres.shape[1]))


def _circles(count: int, generator: np.random.Generator, independent: bool) -> Array:
    if independent:
        outer, inner = _angles(2 * np.pi, count, generator)
    else:
        outer = np.linspace(0, 2 * np.pi, count // 2, endpoint=False)
        inner = np.linspace(0, 2 * np.pi, count - count // 2, endpoint=False)
    return _noisy(np.concatenate((_circle(outer), 0.8 * _circle(inner))), generator)


def _moons(count: int, generator: np.random.Generator, independent: bool) -> Array:
    if independent:
        outer, inner = _angles(np.pi, count, generator)
    else:
        outer = np.linspace(0, np.pi, count // 2)
        inner = np.linspace(0, np.pi, count - count // 2)
    shifted = np.array([1.0, 0.5]) - _circle(inner)
    return _noisy(np.concatenate((_circle(outer), shifted)), generator)


def _angles(top: float, count: int, generator: np.random.Generator) -> tuple[Array, Array]:
    """Draw angles up to ``top`` for points of which each is on either curve."""
    angles = top * generator.random(count)
    on_outer = generator.random(count) < 0.5
    return angles[on_outer], angles[~on_outer]


def _swiss_roll(count: int, generator: np.random.Generator, independent: bool) -> Array:
    turn = 1.5 * np.pi * (1 + 2 * generator.random(count))
    height = 21 * generator.random(count)
    points = np.stack((turn * np.cos(turn), height, turn * np.sin(turn)), axis=1)
    return _noisy(points, generator)


def _circle(angle: Array) -> Array:
    return np.stack((np.cos(angle), np.sin(angle)), axis=1)


def _noisy(points: Array, generator: np.random.Generator) -> Array:
    return points + NOISE * generator.standard_normal(points.shape)


_DRAW: dict[str, Callable[..., Array]] = {
    "blobs": _blobs,
    "circles": _circles,
    "moons": _moons,
    "swiss_roll": _swiss_roll,
}
