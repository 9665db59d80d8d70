"""Draws of training sets, with replacement, in which samples have weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from collapse.loop.writing import Writer
from collapse.regimes import Regime, Totals, balance
from collapse.seeding import Streams

Array = NDArray[np.float64]


def weighted_rows(
    regime: Regime,
    writer: Writer,
    streams: Streams,
    t: int,
    budget: int,
    is_real: NDArray[np.bool_],
    weights: Array,
) -> NDArray[np.int64]:
    """Draw rows of a pool with replacement, with probabilities proportional to weights.

    With fixed provenance the number of real samples is the share of the budget, rounded; else it
    is random.

    Parameters
    ----------
    is_real, weights : ndarray, shape (seeds, pool)
        Which samples of the pool are real, and the weight of each within its kind.

    Returns
    -------
    ndarray of int, shape (seeds, budget)
    """
    real = Totals.of(np.where(is_real, weights, 0.0))
    synthetic = Totals.of(np.where(is_real, 0.0, weights))
    factors = balance(writer.real_share(t), real, synthetic)
    writer.record_weights(t, factors, real, synthetic)
    probabilities = weights * np.where(is_real, factors.real[:, None], factors.synthetic[:, None])
    rows = np.empty((len(streams), budget), dtype=np.int64)
    of_real = probabilities.sum(axis=1, where=is_real) / probabilities.sum(axis=1)
    fixed = regime.provenance == "fixed" and regime.weigh is not None
    fixed = fixed and regime.weigh.real is not None  # type: ignore[union-attr]
    for seed, generator in enumerate(streams.each("weighted draw", t)):
        if not fixed:
            rows[seed] = _drawn(probabilities[seed], generator.random(budget))
            continue
        number = int(of_real[seed] * budget + 0.5)
        positions = generator.random(budget)
        if number:
            chances = np.where(is_real[seed], probabilities[seed], 0.0)
            rows[seed, :number] = _drawn(chances, positions[:number])
        if number < budget:
            chances = np.where(is_real[seed], 0.0, probabilities[seed])
            rows[seed, number:] = _drawn(chances, positions[number:])
    return rows


def _drawn(chances: Array, positions: Array) -> NDArray[np.int64]:
    """Return the rows at positions in [0, 1) of all chances."""
    sums = np.cumsum(chances)
    rows = np.searchsorted(sums, positions * sums[-1], side="right")
    # Rounding may not lead beyond the last row that has a chance.
    return np.minimum(rows, np.flatnonzero(chances)[-1])


def rows_of_kinds(
    regime: Regime,
    writer: Writer,
    streams: Streams,
    t: int,
    budget: int,
    is_real: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """Draw rows of a pool as `weighted_rows` does, if all samples of a kind have the same weight.

    Parameters
    ----------
    is_real : ndarray of bool, shape (pool,)
        Which samples of the pool are real, with every seed.

    Returns
    -------
    ndarray of int, shape (seeds, budget)
    """
    real, synthetic = np.flatnonzero(is_real), np.flatnonzero(~is_real)
    totals = [Totals.equal(len(rows), len(streams)) for rows in (real, synthetic)]
    factors = balance(writer.real_share(t), *totals)
    writer.record_weights(t, factors, *totals)
    share = len(real) * factors.real[0] / factors.effective[0]
    positions = streams.uniform("weighted draw", t, (budget,))
    if regime.provenance == "fixed":
        number = int(share * budget + 0.5)
        parts = positions[:, :number], positions[:, number:]
        return np.concatenate(
            [
                rows[(part * len(rows)).astype(np.int64)]
                for rows, part in zip((real, synthetic), parts, strict=True)
                if part.shape[1]
            ],
            axis=1,
        )
    # A uniform number says which kind is drawn, and where it lies within its share, which sample.
    rows = np.empty(positions.shape, dtype=np.int64)
    first = positions < share
    rows[first] = real[(positions[first] / share * len(real)).astype(np.int64)]
    rest = (positions[~first] - share) / (1 - share)
    rows[~first] = synthetic[np.minimum(rest * len(synthetic), len(synthetic) - 1).astype(np.int64)]
    return rows


def rows_of(held: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
    """Return rows of each seed in a contiguous array, because sums depend on memory layout."""
    drawn = np.empty((*rows.shape, *held.shape[2:]), held.dtype)
    for source, chosen, target in zip(held, rows, drawn, strict=True) if drawn.size else ():
        np.take(source, chosen, axis=0, out=target, mode="clip")  # "raise" would buffer
    return drawn
