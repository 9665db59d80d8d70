"""Chains in closed form whose draws depend on the data: every sample is made, and kept.

They are those whose samples are weighed by scores, or are real at random.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from collapse.families.simulator import Model, Samples, Simulator, Statistics
from collapse.loop.weighted_draws import rows_of, weighted_rows
from collapse.loop.writing import Writer
from collapse.regimes import Regime, draw_positions
from collapse.seeding import Streams
from collapse.study.chain_spec import ChainSpec

Array = NDArray[np.float64]


def models(
    spec: ChainSpec, simulator: Simulator[Statistics, Model], writer: Writer, streams: Streams
) -> Iterator[Model]:
    """Yield the models of a chain whose draws depend on the data: all samples are made and kept.

    A shard here is all that arrives at an iteration, real and synthetic samples in one order. The
    weight of each, up to the factors of its kind, is kept beside it.
    """
    regime, n = spec.regime, spec.samples
    real = simulator.real(1, n)
    model = simulator.fit(simulator.summarise(real))
    yield model
    kept = regime.kept_real(n)
    held = [tuple(array[:, :kept] for array in real)]
    is_real = [np.ones((writer.seeds, kept), dtype=bool)]
    weights = [np.ones((writer.seeds, kept))]
    for t in range(2, spec.iterations + 1):
        samples, kinds, weighed = _arriving_samples(regime, simulator, writer, model, t, n)
        held.append(samples)
        is_real.append(kinds)
        weights.append(weighed)
        first = regime.oldest_arrival(t) - 1
        pool = [0, *range(first, t)] if kept else list(range(first, t))
        kinds_of_pool = np.concatenate([is_real[one] for one in pool], axis=1)
        weights_of_pool = np.concatenate([weights[one] for one in pool], axis=1)
        size = kinds_of_pool.shape[1]
        budget = regime.training_size(t, n, size)
        if regime.weigh is None:
            rows = np.stack(
                [draw_positions(size, budget, each) for each in streams.each("subset", t)]
            )
            share = np.take_along_axis(kinds_of_pool, rows, axis=1).mean(axis=1)
            writer.record_sizes(t, budget, share)
        else:
            rows = weighted_rows(regime, writer, streams, t, budget, kinds_of_pool, weights_of_pool)
        arrays = zip(*(held[one] for one in pool), strict=True)
        drawn = tuple(rows_of(np.concatenate(list(parts), axis=1), rows) for parts in arrays)
        model = simulator.fit(simulator.summarise(drawn))
        yield model
        if first > 1:
            held[first - 1] = ()


def _arriving_samples(
    regime: Regime,
    simulator: Simulator[Statistics, Model],
    writer: Writer,
    model: Model,
    t: int,
    n: int,
) -> tuple[Samples, NDArray[np.bool_], Array]:
    """Return the samples that arrive at an iteration, which of them are real, and their weights."""
    written, fresh = regime.generated(t, n), regime.fresh(t, n)
    is_real = writer.provenance(t)
    if is_real is not None:
        arriving = is_real.shape[1]
        synthetic = writer.samples(model, arriving, t)
        samples = tuple(
            np.where(is_real.reshape(*is_real.shape, *(1,) * (one.ndim - 2)), one, other)
            for one, other in zip(simulator.real(t, arriving), synthetic, strict=True)
        )
        return samples, is_real, np.where(is_real, 1.0, writer.weights(synthetic, t))
    parts, kinds, weights = [], [], []
    if written:
        parts.append(writer.samples(model, written, t))
        kinds.append(np.zeros((writer.seeds, written), dtype=bool))
        weights.append(writer.weights(parts[-1], t))
    if fresh:
        parts.append(simulator.real(t, fresh))
        kinds.append(np.ones((writer.seeds, fresh), dtype=bool))
        weights.append(np.ones((writer.seeds, fresh)))
    if not parts:
        nothing = tuple(array[:, :0] for array in simulator.real(1, 1))
        return nothing, np.ones((writer.seeds, 0), dtype=bool), np.ones((writer.seeds, 0))
    samples = tuple(np.concatenate(list(arrays), axis=1) for arrays in zip(*parts, strict=True))
    return samples, np.concatenate(kinds, axis=1), np.concatenate(weights, axis=1)
