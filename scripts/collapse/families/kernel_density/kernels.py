"""Sums of kernels at test points, which take most of kernel density estimation's time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Number of elements of a block of exponents, which fits the second-level cache.
_BLOCK = 65536
#: Largest squared norm whose rounding leaves single-precision exponents accurate to 1e-4.
_SINGLE = 300.0
#: Below this a sum of single-precision exponentials has lost terms to underflow.
_UNDERFLOW = 1e-25


def log_normaliser(kernel: str, dimension: int) -> float:
    """Return the logarithm of the integral of a kernel of bandwidth 1."""
    if kernel == "gaussian":
        return dimension / 2 * math.log(2 * math.pi)
    return dimension / 2 * math.log(math.pi) - math.lgamma(dimension / 2 + 1)


def log_kernel_sums(
    points: Array, test: Array, bandwidth: Array, kernel: str, weights: Array | None = None
) -> Array:
    """Return the logarithm of the sum of un-normalised kernels of all points, per test point.

    Parameters
    ----------
    points : ndarray, shape (seeds, k, dimensions)
    test : ndarray, shape (seeds, m, dimensions)
    bandwidth : ndarray, shape (seeds,)
    kernel : {"gaussian", "tophat"}
    weights : ndarray, shape (seeds, k)
        How much each point counts; None means 1.

    Returns
    -------
    ndarray, shape (seeds, m)
        It is -inf where no top-hat covers the test point. Exponents come from one matrix product,
        in single precision where that is accurate to 1e-4 and in double elsewhere; where all
        kernels of a test point underflow, they are summed again relative to the largest.
    """
    scale = bandwidth * (math.sqrt(2) if kernel == "gaussian" else 1)
    centre = test.mean(axis=1, keepdims=True)
    logarithms = np.empty(test.shape[:2])
    for seed, h in enumerate(scale):
        counting = None if weights is None else weights[seed]
        left, right = _exponent_factors(
            (points[seed] - centre[seed]) / h, (test[seed] - centre[seed]) / h
        )
        if kernel == "gaussian":
            logarithms[seed] = _log_gaussian_sums(left, right, counting)
        else:
            covered = sum(
                _total((exponents > -1).astype(np.float64), counting, rows)
                for rows, exponents in _blocks(left, right)
            )
            with np.errstate(divide="ignore"):
                logarithms[seed] = np.log(covered)
    return logarithms


def _exponent_factors(points: Array, test: Array) -> tuple[Array, Array]:
    """Return matrices (k, d + 2) and (d + 2, m) whose product is -|p - q|²."""
    squares = (points**2).sum(axis=1, keepdims=True)
    left = np.concatenate((2 * points, -squares, np.ones_like(squares)), axis=1)
    squares = (test**2).sum(axis=1, keepdims=True)
    right = np.concatenate((test, np.ones_like(squares), -squares), axis=1)
    return left, np.ascontiguousarray(right.T)


def _blocks(left: NDArray[Any], right: NDArray[Any]) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Yield blocks of rows of left @ right, each in the same memory, with the rows."""
    rows = max(1, _BLOCK // right.shape[1])
    product = np.empty((min(rows, len(left)), right.shape[1]), dtype=left.dtype)
    for start in range(0, len(left), rows):
        block = left[start : start + rows]
        rows_of_block = slice(start, start + len(block))
        yield rows_of_block, np.matmul(block, right, out=product[: len(block)])


def _total(kernels: NDArray[Any], weights: Array | None, rows: slice) -> NDArray[Any]:
    """Return the weighted column sums of the kernels of some rows."""
    return kernels.sum(axis=0) if weights is None else weights[rows] @ kernels


def _log_gaussian_sums(left: Array, right: Array, weights: Array | None) -> Array:
    """Return the logarithm of the weighted column sums of exp(left @ right)."""
    largest = max(-left[:, -2].min(initial=0), -right[-1].min())
    precision = np.float32 if largest < _SINGLE else np.float64
    sums = np.zeros(right.shape[1])
    for rows, exponents in _blocks(left.astype(precision), right.astype(precision)):
        single = exponents.astype(np.float32, copy=False)
        counting = np.ones(len(single)) if weights is None else weights[rows]
        sums += counting.astype(np.float32) @ np.exp(single, out=single)
    lost = sums < _UNDERFLOW
    with np.errstate(divide="ignore"):
        logarithms = np.log(sums)
    if lost.any():
        logarithms[lost] = _log_sums_of_far(left, right[:, lost], weights)
    return logarithms


def _log_sums_of_far(left: Array, right: Array, weights: Array | None) -> Array:
    if weights is not None:
        left, weights = left[weights > 0], weights[weights > 0]
    peak, total = np.full(right.shape[1], -np.inf), np.zeros(right.shape[1])
    for rows, exponents in _blocks(left, right):
        highest = np.maximum(peak, exponents.max(axis=0))
        total *= np.exp(peak - highest)
        total += _total(np.exp((exponents - highest).astype(np.float32)), weights, rows)
        peak = highest
    with np.errstate(divide="ignore", invalid="ignore"):
        return peak + np.log(total)
