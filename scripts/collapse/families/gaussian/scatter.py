"""Scatter matrices of several seeds, which add up without losing the accuracy of their factors."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collapse.families.gaussian.factors import by_qr, factor_of_square, lower_factor

Array = NDArray[np.float64]

#: Number of blocks at which they are replaced by one factor.
_MOST = 8
#: Least diagonal entry, as a part of the largest, of a factor that a sum of squares gives.
_SAFE = 1e-5


class Scatter:
    """A scatter matrix S = Σ B B' of several seeds, as its blocks B and, once it is needed, S.

    S is cheap to add to and to multiply, and gives the factor where it is safely positive definite;
    elsewhere the blocks give it.

    Parameters
    ----------
    blocks : tuple of ndarray, each of shape (seeds, d, columns)
    roots : tuple of ndarray, each of shape (seeds,)
        What each block is to be multiplied by.
    matrix : callable or None
        Returns S, of shape (seeds, d, d), when it is first needed; None to square the blocks.
    """

    def __init__(
        self,
        blocks: tuple[Array, ...],
        roots: tuple[Array, ...],
        matrix: Callable[[], Array] | None = None,
    ) -> None:
        self.blocks = blocks
        self.roots = roots
        self._matrix = matrix

    @classmethod
    def of(cls, block: Array) -> Scatter:
        """Return the scatter B B'."""
        return cls((block,), (np.ones(len(block)),))

    @functools.cached_property
    def matrix(self) -> Array:
        """S, of shape (seeds, d, d)."""
        if self._matrix is not None:
            return self._matrix()
        parts = (
            (block @ block.transpose(0, 2, 1)) * (root**2)[:, None, None]
            for block, root in zip(self.blocks, self.roots, strict=True)
        )
        return functools.reduce(np.add, parts)

    def plus(self, other: Scatter, between: Array | None, rank: int) -> Scatter:
        """Return the sum of two scatters, and of v v' for a vector v (seeds, d) between them.

        ``rank`` is an upper bound of the rank of the sum.
        """
        square = self.matrix + other.matrix
        blocks, roots = self.blocks + other.blocks, self.roots + other.roots
        if between is not None:
            square += between[:, :, None] * between[:, None, :]
            blocks, roots = (*blocks, between[..., None]), (*roots, np.ones(len(between)))
        added = Scatter(blocks, roots, lambda: square)
        if len(blocks) <= _MOST:
            return added
        factor = added.factor(rank)
        return Scatter((factor,), (np.ones(len(factor)),), lambda: square)

    def scaled(self, factors: Array) -> Scatter:
        """Return the scatter multiplied by a factor for each seed (seeds,)."""
        roots = tuple(root * np.sqrt(factors) for root in self.roots)
        return Scatter(self.blocks, roots, lambda: self.matrix * factors[:, None, None])

    def factor(self, rank: int) -> Array:
        """Return F with F F' = S and at most ``rank`` columns; see `lower_factor`."""
        columns = sum(block.shape[2] for block in self.blocks)
        if len(self.blocks) == 1 or columns <= rank or rank == 0:
            joined = self._joined(slice(None))
            alone = len(self.blocks) == 1 and columns <= rank
            return joined if alone else lower_factor(joined, rank)
        factor, unsafe = factor_of_square(self.matrix, rank, safe=_SAFE)
        if unsafe.any():
            factor[unsafe] = by_qr(self._joined(unsafe), rank)
        return factor

    def _joined(self, seeds: Any) -> Array:
        """Return the blocks of some seeds side by side."""
        parts = [
            block[seeds] if (root == 1).all() else block[seeds] * root[seeds][:, None, None]
            for block, root in zip(self.blocks, self.roots, strict=True)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)
