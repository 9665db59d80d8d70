"""The points of a training set of several seeds, with weights, and the drawing of points."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Points:
    """The points of one kind in a training set, with moments and a tally of kernels.

    ``weights`` (seeds, count) say how much each point counts; None means 1. ``total`` (seeds,) is
    their sum. ``tally`` holds the number of points whose kernels are already summed at the test
    points, and the logarithm of these sums; it is kept only if the bandwidth is fixed.
    """

    def __init__(
        self, buffer: _Buffer, mean: Array, spread: Array, weights: _Buffer | None, total: Array
    ) -> None:
        self._buffer = buffer
        self._weights = weights
        self.count = buffer.used
        self.mean = mean
        self.spread = spread  # weighted sums of squared distances from the mean: (seeds,)
        self.total = total
        self.tally: tuple[int, Array] | None = None

    @classmethod
    def of(cls, points: Array, weights: Array | None = None) -> Points:
        """Summarise points of shape (seeds, count, dimensions), and their weights."""
        if weights is None:
            total, mean = np.full(len(points), float(points.shape[1])), points.mean(axis=1)
            spread = ((points - mean[:, None]) ** 2).sum(axis=(1, 2))
            return cls(_Buffer(points), mean, spread, None, total)
        total = weights.sum(axis=1)
        mean = np.einsum("sn,snd->sd", weights, points) / np.where(total > 0, total, 1)[:, None]
        spread = np.einsum("sn,snd->s", weights, (points - mean[:, None]) ** 2)
        return cls(_Buffer(points), mean, spread, _Buffer(weights), total)

    @property
    def points(self) -> Array:
        """The points, of shape (seeds, count, dimensions)."""
        return self._buffer.array[:, : self.count]

    @property
    def weights(self) -> Array | None:
        """The weights of the points, of shape (seeds, count); None if all are 1."""
        return None if self._weights is None else self._weights.array[:, : self.count]

    def union(self, other: Points) -> Points:
        """Return the union of both sets of points, which keeps the tally of the first."""
        total = self.total + other.total
        shift = other.mean - self.mean
        safe = np.where(total > 0, total, 1.0)
        share = other.total / safe
        between = self.total * other.total / safe * (shift**2).sum(axis=1)
        weights = self._weights
        if weights is not None or other._weights is not None:
            own, added = (
                np.ones(one.points.shape[:2]) if one.weights is None else one.weights
                for one in (self, other)
            )
            weights = (weights or _Buffer(own)).extended(self.count, added)
        merged = Points(
            self._buffer.extended(self.count, other.points),
            self.mean + shift * share[:, None],
            self.spread + other.spread + between,
            weights,
            total,
        )
        merged.tally = self.tally
        return merged


class Part(NamedTuple):
    """Points that all count more or less than they say, by a factor for each seed (seeds,)."""

    factor: Array
    points: Points


#: A training set: several parts, such as real and synthetic points, whose factors differ.
Parts = tuple[Part, ...]


class _Buffer:
    """An array that grows at its end by doubling, so that T unions copy O(T), not O(T²)."""

    def __init__(self, array: Array) -> None:
        self.array = array
        self.used = array.shape[1]

    def extended(self, length: int, new: Array) -> _Buffer:
        """Append to the first ``length`` rows: in place if nothing was appended since."""
        total = length + new.shape[1]
        buffer = self
        if length != self.used or total > self.array.shape[1]:
            grown = np.empty((len(new), max(total, 2 * length), *new.shape[2:]))
            grown[:, :length] = self.array[:, :length]
            buffer = _Buffer(grown)
        buffer.array[:, length:total] = new
        buffer.used = total
        return buffer


def points_at(parts: Parts, positions: Array) -> Array:
    """Return the points at positions in [0, 1) of all weight: (seeds, positions, dimensions)."""
    seeds = np.arange(len(positions))[:, None]
    if len(parts) == 1 and parts[0].points.weights is None:
        points = parts[0].points
        return points.points[seeds, (positions * points.count).astype(np.int64)]
    totals = np.stack([part.factor * part.points.total for part in parts], axis=1)
    ends = totals.cumsum(axis=1) / totals.sum(axis=1, keepdims=True)
    ends[:, -1] = 1.0
    chosen = np.empty((*positions.shape, parts[0].points.points.shape[2]))
    start = np.zeros_like(ends[:, :1])
    for part, end in zip(parts, ends.T[..., None], strict=True):
        here = (positions >= start) & (positions < end)
        within = (positions - start) / np.where(end > start, end - start, 1.0)
        rows = _rows_at(part.points, np.clip(within, 0.0, np.nextafter(1.0, 0.0)))
        chosen[here] = part.points.points[np.broadcast_to(seeds, here.shape)[here], rows[here]]
        start = end
    return chosen


def _rows_at(points: Points, positions: Array) -> NDArray[np.int64]:
    """Return the rows at positions in [0, 1) of all weight of points of one kind."""
    if points.weights is None:
        return (positions * points.count).astype(np.int64)
    sums = points.weights.cumsum(axis=1)
    rows = [
        np.searchsorted(one, position * one[-1], side="right")
        for one, position in zip(sums, positions, strict=True)
    ]
    return np.minimum(rows, points.count - 1)
