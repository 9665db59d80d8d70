"""Least squares, residuals, and products with a design."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def least_squares(rows: Array, labels: Array) -> Array:
    """Return the minimum-norm least-squares weights (d,) of full-rank rows (k, d), labels (k,).

    With at least 2d rows, whose condition number is small, the normal equations are solved; QR
    serves near the interpolation threshold and below it.
    """
    count, dimension = rows.shape
    if count >= 2 * dimension:
        return np.asarray(np.linalg.solve(rows.T @ rows, rows.T @ labels), dtype=np.float64)
    if count >= dimension:
        basis, upper = np.linalg.qr(rows)
        return np.linalg.solve(upper, basis.T @ labels)
    basis, upper = np.linalg.qr(rows.T)
    return basis @ np.linalg.solve(upper.T, labels)


def residual_variance(residual: Array, distinct: Array, dimension: int) -> Array:
    """Return sums of squared residuals over their degrees of freedom; NaN if there are none."""
    freedom = distinct - dimension
    return np.where(freedom > 0, residual / np.maximum(freedom, 1), np.nan)


def apply(matrix: Array, vector: Array) -> Array:
    """Return matrix times vector, seed by seed."""
    return (matrix @ vector[..., None])[..., 0]


def noiseless_labels(rows: Array, weights: Array) -> Array:
    """Return noiseless labels, which unlike those of BLAS don't depend on the number of rows."""
    return (rows * weights[:, None]).sum(axis=2)
