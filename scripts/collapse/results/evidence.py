"""How much simulations speak against an expectation: scores that hold with any number of seeds.

``docs/theory/check.md`` derives them. A score reads like the quantile of a normal distribution.
Deviations are differences between a simulated value and its expectation, in units of the standard
deviation over seeds that theory gives.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


#: Part of the variance by which scores are kept finite; equation (3) of ``docs/theory/check.md``.
PRIOR = 1 / 16


class Score(NamedTuple):
    """Scores, and the largest that any simulation of so many independent terms can have."""

    z: Array
    attainable: float


def limit(false_alarm: float, tests: int) -> float:
    """Return what several scores exceed with at most a probability, by equation (4)."""
    return float(np.sqrt(2 * np.log(np.sqrt(1 + 1 / PRIOR) * max(1, tests) / false_alarm)))


def score(terms: Array, variances: Array, *, known: bool) -> Score:
    """Score sums of independent terms that have mean zero if theory holds.

    Parameters
    ----------
    terms : ndarray, shape (terms, ...)
    variances : ndarray, broadcastable to the shape of ``terms``
        Their variances: at least the true ones if ``known``, else at most.
    known : bool
        Equation (3) of ``docs/theory/check.md`` if so; else equation (5), which takes the variance
        from the terms themselves.
    """
    variance = np.broadcast_to(variances, terms.shape).sum(axis=0)
    return _score(terms.sum(axis=0), (terms**2).sum(axis=0), variance, len(terms), known)


def _score(total: Array, squares: Array, variance: Array, count: int, known: bool) -> Score:
    with np.errstate(divide="ignore", invalid="ignore"):
        if known:
            spread = np.maximum((squares + 2 * variance) / 3, variance) + PRIOR * variance
            excess = np.log(spread / ((1 + PRIOR) * variance))
            z = np.sign(total) * np.sqrt(np.maximum(total**2 / spread - excess, 0))
            share = 2 + 3 * PRIOR
            most = 3 * count - 1 - np.log(max(1, 3 * count) * share / (1 + share))
        else:
            z = total / np.sqrt(np.maximum(squares, variance))
            most = count
    return Score(np.where(squares > 0, z, 0.0), float(np.sqrt(max(most, 0))))


class Chain(NamedTuple):
    """The deviations of a chain's metric from theory: of each seed, at some iterations.

    Attributes
    ----------
    point : str
    deviations : ndarray, shape (seeds, iterations)
        Zero where they can't be compared.
    weights : ndarray, shape (iterations,)
        What is expected over its standard deviation: the share of an error in proportion to what is
        expected; zero where it can't be compared.
    known : bool
        Whether the standard deviations are exact.
    least : float
        The least variance of a deviation that is known: 1, or else 0.
    """

    point: str
    deviations: Array
    weights: Array
    known: bool
    least: float

    @property
    def weighted(self) -> Array:
        """The deviations, so weighted that points add up."""
        return self.weights * self.deviations


def pooled_over_points(chains: list[Chain]) -> Score:
    """Score the deviations of all chains at each iteration; equation (6)."""
    summed, variances, known = _by_point(chains)
    return score(summed, variances, known=known)


def pooled_over_all(chains: list[Chain]) -> Score:
    """Score the deviations of all chains and iterations together; equation (7)."""
    summed, variances, _ = _by_point(chains)
    return score(summed.sum(axis=1), variances.sum(axis=1), known=False)


def _by_point(chains: list[Chain]) -> tuple[Array, Array, bool]:
    """Return deviations and variances of independent terms: each seed of each point.

    Chains of one point and several regimes share real data, so that they make one term.
    """
    points: dict[str, list[Chain]] = {}
    for chain in chains:
        points.setdefault(chain.point, []).append(chain)
    summed = np.concatenate([sum(c.weighted for c in mine) for mine in points.values()])
    variances = np.concatenate(
        [
            np.broadcast_to(sum(c.least * c.weights**2 for c in mine), mine[0].deviations.shape)
            for mine in points.values()
        ]
    )
    alone = len(points) == len(chains)
    return summed, variances, alone and all(chain.known for chain in chains)


def between_seeds(chains: list[Chain]) -> Score:
    """Score whether the deviations of different seeds go together; equation (8).

    There is a score for each distance between two seeds in their order.
    """
    seeds = len(chains[0].deviations)
    totals, squares, variances, counts = np.zeros((4, max(0, seeds - 1)))
    for chain in chains:
        used = chain.weights != 0
        if not used.any():
            continue
        mine = chain.deviations[:, used]
        products = mine @ mine.T / mine.shape[1]
        for distance in range(1, seeds):
            pairs = np.diagonal(products, distance)
            totals[distance - 1] += pairs.sum()
            squares[distance - 1] += (pairs**2).sum()
            variances[distance - 1] += chain.least * len(pairs)
            counts[distance - 1] += len(pairs)
    known = all(chain.known for chain in chains)
    return _score(totals, squares, variances, int(counts.max(initial=0)), known)
