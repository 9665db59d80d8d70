"""Unpenalised maximum likelihood by Newton's method, for several seeds at once.

Newton's method with the canonical link is iteratively reweighted least squares. Steps that would
lower the likelihood are halved. ``docs/theory/exponential_families.md``, "Fits without a maximum",
explains how fits are recognised whose likelihood has no maximum, because labels are separated.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from collapse.families.generalised_linear.distributions import Distribution

Array = NDArray[np.float64]

#: Newton's method ends where the gain in log-likelihood that a step promises, for each unit of
#: weight, is below this.
TOLERANCE = 1e-12
#: Changes of linear predictors by the last step: a maximum is reached if all are below the first
#: number, and recedes forever if one is above the second. It is about 1 if labels are separated.
REACHED, RECEDES = 1e-6, 0.5
#: Largest number of steps, which fits without a maximum need about 30 of, and of halvings.
STEPS, HALVINGS = 100, 60
#: Part of the mean diagonal that is added to the information, which then is never singular.
RIDGE = 1e-14
#: Numbers in the designs of a block of seeds, so that intermediate arrays stay small.
BLOCK = 2_000_000


class Fit(NamedTuple):
    """Coefficients (seeds, p), and whether the likelihood of each seed has a maximum (seeds,)."""

    coefficients: Array
    exists: NDArray[np.bool_]


def maximum_likelihood(rows: Array, weights: Array, sums: Array, distribution: Distribution) -> Fit:
    """Fit a generalised linear model to weighted rows, each seed on its own.

    Parameters
    ----------
    rows : ndarray, shape (seeds, n, p)
        The designs, with a column of ones for an intercept; a design that all seeds share may be
        broadcast.
    weights : ndarray, shape (seeds, n)
        Non-negative weights of the rows, of which some are positive.
    sums : ndarray, shape (seeds, n)
        Weighted sums of the labels of each row.
    distribution : Distribution
        The distribution of labels.

    Returns
    -------
    Fit
        If the likelihood has no maximum, the coefficients are those at which Newton's method ended:
        finite, with a likelihood within the tolerance of its supremum.
    """
    seeds, count, width = rows.shape
    coefficients, exists = np.empty((seeds, width)), np.empty(seeds, dtype=bool)
    size = max(1, BLOCK // max(1, count * width))
    for start in range(0, seeds, size):
        block = slice(start, start + size)
        problem = _Problem(rows[block], weights[block], sums[block], distribution)
        coefficients[block], exists[block] = _newton(problem)
    return Fit(coefficients, exists)


class _Problem:
    """The likelihoods of a block of seeds."""

    def __init__(
        self, rows: Array, weights: Array, sums: Array, distribution: Distribution
    ) -> None:
        self.rows, self.weights, self.sums = rows, weights, sums
        self.distribution = distribution

    def of(self, chosen: NDArray[np.bool_]) -> _Problem:
        """Return the likelihoods of some of the seeds."""
        if chosen.all():
            return self
        parts = (self.rows[chosen], self.weights[chosen], self.sums[chosen])
        return _Problem(*parts, self.distribution)

    def predictor(self, coefficients: Array) -> Array:
        return (self.rows @ coefficients[..., None])[..., 0]

    def loss(self, coefficients: Array) -> Array:
        """Return the negative log-likelihood, of shape (seeds,)."""
        predictor = self.predictor(coefficients)
        terms = self.weights * self.distribution.cumulant(predictor) - self.sums * predictor
        return terms.sum(axis=1)

    def solve(self, variance: Array, response: Array) -> tuple[Array, Array]:
        """Return the gradient of ``response`` and the step by weights times ``variance``."""
        transposed = self.rows.transpose(0, 2, 1)
        gradient = (transposed @ response[..., None])[..., 0]
        information = transposed @ (self.rows * (self.weights * variance)[..., None])
        diagonal = np.einsum("sii->si", information)
        diagonal += np.maximum(RIDGE * diagonal.mean(axis=1, keepdims=True), 1e-300)
        step = np.linalg.solve(information, gradient[..., None])[..., 0]
        return gradient, np.asarray(step, dtype=np.float64)

    def start(self) -> Array:
        """Return the weighted least-squares fit to rough linear predictors of each row."""
        labels = self.sums / np.where(self.weights > 0, self.weights, 1)
        predictor = self.distribution.start(labels)
        _, variance = self.distribution.moments(predictor)
        return self.solve(variance, self.weights * variance * predictor)[1]

    def step(self, coefficients: Array) -> tuple[Array, Array, Array]:
        """Return Newton's step, the gain that it promises, and the largest change of predictors."""
        mean, variance = self.distribution.moments(self.predictor(coefficients))
        gradient, step = self.solve(variance, self.sums - self.weights * mean)
        moves = np.abs(self.predictor(step)) * (self.weights > 0)
        return step, (gradient * step).sum(axis=1), moves.max(axis=1)


def _newton(problem: _Problem) -> tuple[Array, NDArray[np.bool_]]:
    """Return the coefficients of a block of seeds, and whether their likelihoods have a maximum."""
    found = problem.start()
    exists = np.zeros(len(found), dtype=bool)
    running = np.arange(len(found))
    coefficients, loss = found, problem.loss(found)
    for _ in range(STEPS):
        step, gain, move = problem.step(coefficients)
        small = gain <= TOLERANCE * problem.weights.sum(axis=1)
        ended = small & ((move <= REACHED) | (move > RECEDES))
        found[running[ended]] = coefficients[ended] + step[ended]
        exists[running[ended]] = move[ended] <= REACHED
        if ended.all():
            return found, exists
        going = ~ended
        running, problem = running[going], problem.of(going)
        coefficients, loss = _descend(problem, coefficients[going], step[going], loss[going])
    found[running] = coefficients
    return found, exists


def _descend(
    problem: _Problem, coefficients: Array, step: Array, loss: Array
) -> tuple[Array, Array]:
    """Go along a step, halved until the loss does not rise; return coefficients and loss."""
    allowed = loss + 1e-12 * (np.abs(loss) + problem.weights.sum(axis=1))
    moved = coefficients + step
    reached = problem.loss(moved)
    for _ in range(HALVINGS):
        rises = ~(reached <= allowed)
        if not rises.any():
            break
        step = np.where(rises[:, None], step / 2, step)
        moved[rises] = coefficients[rises] + step[rises]
        reached[rises] = problem.of(rises).loss(moved[rises])
    return moved, reached
