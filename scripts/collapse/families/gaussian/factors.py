"""Triangular factors of covariances, for several seeds at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Standard deviations below this part of a mean are too close to its rounding to measure a step by.
RESOLUTION = 1e-10
#: Number of rows up to which a triangular matrix is treated like any other.
_SIDE = 32


def lower_factor(blocks: Array, rank: int) -> Array:
    """Return F with F F' = B B' and at most ``rank`` columns.

    Parameters
    ----------
    blocks : ndarray, shape (seeds, d, columns)
        B, whose rank is known to be at most ``rank``.

    Returns
    -------
    ndarray, shape (seeds, d, min(rank, columns))
        F, lower trapezoidal: by Cholesky where B B' is safely positive definite, else by QR of B',
        seed by seed, so that no seed's numbers depend on another's.
    """
    columns = blocks.shape[2]
    if rank == 0:
        return blocks[:, :, :0]
    if columns <= rank:
        return by_qr(blocks, columns)
    # The first ``rank`` rows determine the others, so that the factorisation can stop there.
    factor, unsafe = factor_of_square(blocks @ blocks[:, :rank].transpose(0, 2, 1), rank)
    if unsafe.any():
        factor[unsafe] = by_qr(blocks[unsafe], rank)
    return factor


def factor_of_square(
    square: Array, rank: int, safe: float = 1e-6
) -> tuple[Array, NDArray[np.bool_]]:
    """Return the lower factor of S by Cholesky, and of which seeds it can't be trusted.

    Squaring loses scales below 1e-8 of the largest.

    Parameters
    ----------
    square : ndarray, shape (seeds, d, at least rank)
        S, or its first columns.
    rank : int
    safe : float
        Least diagonal entry of the factor, as a part of the largest one, that is trusted.
    """
    top_of_square = square[:, :rank, :rank]
    try:
        top = np.asarray(np.linalg.cholesky(top_of_square), dtype=np.float64)
    except np.linalg.LinAlgError:
        top = np.stack([_cholesky_or_nan(one) for one in top_of_square])
    factor = top
    if rank < square.shape[1]:
        below = np.linalg.solve(top, square[:, rank:, :rank].transpose(0, 2, 1))
        factor = np.concatenate((top, below.transpose(0, 2, 1)), axis=1)
    diagonal = np.einsum("sii->si", top)
    return factor, ~(diagonal.min(axis=1) > safe * diagonal.max(axis=1))


def by_qr(blocks: Array, rank: int) -> Array:
    """Return the lower factor of B B' by QR of B', which keeps all scales."""
    upper: Array = np.asarray(np.linalg.qr(blocks.transpose(0, 2, 1), mode="r"))
    factor = upper.transpose(0, 2, 1)[:, :, :rank]
    # Directions that no sample has keep only rounding errors, which are set to zero.
    diagonal = np.abs(np.einsum("sii->si", factor[:, :rank]))
    seeds, lost = np.nonzero(diagonal < 1e-13 * diagonal.max(axis=1, keepdims=True))
    factor[seeds, lost, lost] = 0
    return factor


def _cholesky_or_nan(square: Array) -> Array:
    try:
        return np.asarray(np.linalg.cholesky(square), dtype=np.float64)
    except np.linalg.LinAlgError:
        return np.full_like(square, np.nan)


def squared_distance(one: Array, other: Array, factor: Array, *, inside: bool) -> Array:
    """Return squared Mahalanobis distances x' (F F')⁺ x of means, x their difference.

    Parameters
    ----------
    one, other : ndarray, shape (seeds, d)
    factor : ndarray, shape (seeds, d, columns)
        F, lower trapezoidal and of full column rank.
    inside : bool
        Whether x is known to be in the span of F, so that its first coordinates tell the others.

    Returns
    -------
    ndarray, shape (seeds,)
        NaN where F is so small in some direction that the rounding of the means counts.
    """
    difference, columns = one - other, factor.shape[2]
    size = np.maximum(np.abs(one), np.abs(other)).max(axis=1, keepdims=True)
    if inside:
        factor, difference = factor[:, :columns], difference[:, :columns]
    elif columns < factor.shape[1]:
        # [F x] is an orthogonal matrix times an upper triangular one, which is turned around.
        together = np.concatenate((factor, difference[..., None]), axis=2)
        upper = np.asarray(np.linalg.qr(together, mode="r"))[:, :columns]
        factor = np.flip(upper[:, :, :columns], axis=(1, 2))
        difference = np.flip(upper[:, :, columns], axis=1)
    diagonal = np.abs(np.einsum("sii->si", factor))
    unresolved = ~(diagonal > RESOLUTION * size).all(axis=1)
    factor = np.where(unresolved[:, None, None], np.eye(columns), factor)
    steps = solve_lower(factor, difference)
    return np.where(unresolved, np.nan, np.einsum("si,si->s", steps, steps))


def solve_lower(lower: Array, right: Array) -> Array:
    """Return L⁻¹ b for lower triangular L (seeds, d, d) and b (seeds, d), block by block."""
    solved = np.empty_like(right)
    for start in range(0, right.shape[1], _SIDE):
        rows = slice(start, start + _SIDE)
        known = (lower[:, rows, :start] @ solved[:, :start, None])[..., 0]
        rest = (right[:, rows] - known)[..., None]
        solved[:, rows] = np.linalg.solve(lower[:, rows, rows], rest)[..., 0]
    return solved
