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


def draw(name: str, count: int, generator: np.random.Generator, **truth: Any) -> Array:
    """Draw ``count`` points of a data set, in random order.

    Parameters
    ----------
    name : {"blobs", "circles", "moons", "swiss_roll"}
    count : int
    generator : numpy.random.Generator
    **truth
        Parameters of the distribution: ``centres`` for blobs.

    Returns
    -------
    ndarray, shape (count, dimensions)
    """
    return generator.permutation(_DRAW[name](count, generator, **truth))


def _blobs(count: int, generator: np.random.Generator, centres: Array) -> Array:
    cluster = np.arange(count) % len(centres)
    return centres[cluster] + generator.standard_normal((count, centres.shape[1]))


def _circles(count: int, generator: np.random.Generator) -> Array:
    outer = _circle(np.linspace(0, 2 * np.pi, count // 2, endpoint=False))
    inner = 0.8 * _circle(np.linspace(0, 2 * np.pi, count - count // 2, endpoint=False))
    return _noisy(np.concatenate((outer, inner)), generator)


def _moons(count: int, generator: np.random.Generator) -> Array:
    outer = _circle(np.linspace(0, np.pi, count // 2))
    inner = np.array([1.0, 0.5]) - _circle(np.linspace(0, np.pi, count - count // 2))
    return _noisy(np.concatenate((outer, inner)), generator)


def _swiss_roll(count: int, generator: np.random.Generator) -> Array:
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
