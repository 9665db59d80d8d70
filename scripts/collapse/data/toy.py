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
#: Side of the square of the centres of blobs, and height of a Swiss roll.
BOX, ROLL = 20.0, 21

Array = NDArray[np.float64]


def centres(generator: np.random.Generator) -> Array:
    """Draw the centres of the blobs, which training and test data must share.

    They are drawn apart from the points; the published code drew new ones for the test set
    (docs/reproduction.md, mistake 1).
    """
    return generator.uniform(-BOX / 2, BOX / 2, size=(CENTRES, 2))


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


def circles(count: int) -> Array:
    """Return the points of circles without their noise, evenly spaced."""
    return circles_at(
        np.linspace(0, 2 * np.pi, count // 2, endpoint=False),
        np.linspace(0, 2 * np.pi, count - count // 2, endpoint=False),
    )


def circles_at(outer: Array, inner: Array) -> Array:
    """Return the points of the outer and the inner circle at these angles."""
    return np.concatenate((_circle(outer), 0.8 * _circle(inner)))


def moons(count: int) -> Array:
    """Return the points of moons without their noise, evenly spaced."""
    return moons_at(np.linspace(0, np.pi, count // 2), np.linspace(0, np.pi, count - count // 2))


def moons_at(outer: Array, inner: Array) -> Array:
    """Return the points of the two moons at these angles."""
    return np.concatenate((_circle(outer), np.array([1.0, 0.5]) - _circle(inner)))


def spiral(uniform: Array) -> Array:
    """Return the two coordinates of a Swiss roll along which uniform numbers wind it up."""
    turn = 1.5 * np.pi * (1 + 2 * uniform)
    return np.stack((turn * np.cos(turn), turn * np.sin(turn)), axis=-1)


def _circles(count: int, generator: np.random.Generator, independent: bool) -> Array:
    drawn = circles_at(*_angles(2 * np.pi, count, generator)) if independent else circles(count)
    return _noisy(drawn, generator)


def _moons(count: int, generator: np.random.Generator, independent: bool) -> Array:
    drawn = moons_at(*_angles(np.pi, count, generator)) if independent else moons(count)
    return _noisy(drawn, generator)


def _angles(top: float, count: int, generator: np.random.Generator) -> tuple[Array, Array]:
    """Draw angles up to ``top`` for points of which each is on either curve."""
    angles = top * generator.random(count)
    on_outer = generator.random(count) < 0.5
    return angles[on_outer], angles[~on_outer]


def _swiss_roll(count: int, generator: np.random.Generator, independent: bool) -> Array:
    wound = spiral(generator.random(count))
    height = ROLL * generator.random(count)
    return _noisy(np.stack((wound[:, 0], height, wound[:, 1]), axis=1), generator)


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
