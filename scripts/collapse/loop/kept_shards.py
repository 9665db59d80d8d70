"""Chains in closed form whose draws depend on the data: every sample is made, and kept.

They are those whose samples are weighed by scores, or are real at random.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collapse.families.simulator import Model, Samples, Simulator, Statistics
from collapse.loop.weighted_draws import rows_of, weighted_rows
from collapse.loop.writing import Writer
from collapse.regimes import Regime, draw_positions
from collapse.seeding import Streams
from collapse.study.chain_spec import ChainSpec

Array = NDArray[np.float64]
#: Which samples are real (seeds, samples), the weight of each within its kind, and the samples.
Columns = tuple[NDArray[Any], ...]


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
    first = tuple(array[:, :kept] for array in real)
    pool = _Pool(spec, _columns(True, np.ones((writer.seeds, kept)), first))
    del real, first
    for t in range(2, spec.iterations + 1):
        pool.add(_arriving(regime, simulator, writer, model, t, n))
        budget = regime.training_size(t, n, pool.size)
        if regime.weigh is None:
            rows = np.stack(
                [draw_positions(pool.size, budget, each) for each in streams.each("subset", t)]
            )
            share = np.take_along_axis(pool.whole(0), rows, axis=1).mean(axis=1)
            writer.record_sizes(t, budget, share)
        else:
            rows = weighted_rows(regime, writer, streams, t, budget, pool.whole(0), pool.whole(1))
        model = simulator.fit(simulator.summarise(pool.samples(rows)))
        yield model


class _Pool:
    """The samples of a pool, in arrays into which those that arrive are written in place.

    The real samples that are kept come first, and then the window of those that have arrived. It
    moves on to the end of the arrays and then back to its beginning, so that T iterations copy
    O(T) samples. The first two columns say which samples are real, and what they weigh.
    """

    def __init__(self, spec: ChainSpec, kept: Columns) -> None:
        seeds, self._kept = kept[0].shape[:2]
        regime, n, later = spec.regime, spec.samples, range(2, spec.iterations + 1)
        window = max(regime.pool_sizes(spec.iterations, n)[1:], default=self._kept) - self._kept
        arriving = sum(regime.generated(t, n) + regime.fresh(t, n) for t in later)
        self._room = self._kept + min(2 * window, arriving)
        self._columns = tuple(
            np.empty((seeds, self._room, *one.shape[2:]), one.dtype) for one in kept
        )
        for held, one in zip(self._columns, kept, strict=True):
            held[:, : self._kept] = one
        self._start = self._stop = self._kept
        self._memory = spec.regime.memory
        self._arrived: deque[int] = deque()

    @property
    def size(self) -> int:
        """The number of samples in the pool."""
        return self._kept + self._stop - self._start

    def add(self, parts: Sequence[Columns]) -> None:
        """Add what arrives at an iteration, and forget what leaves the pool."""
        if len(self._arrived) == self._memory:
            self._start += self._arrived.popleft()
        count = sum(part[0].shape[1] for part in parts)
        self._arrived.append(count)
        if self._stop + count > self._room:
            left = slice(self._start, self._stop)
            self._start, self._stop = self._kept, self.size
            for held in self._columns:
                held[:, self._start : self._stop] = held[:, left]
        for part in parts:
            begin, self._stop = self._stop, self._stop + part[0].shape[1]
            for held, new in zip(self._columns, part, strict=True):
                held[:, begin : self._stop] = new

    def whole(self, column: int) -> NDArray[Any]:
        """Return a column of all samples in the pool."""
        held = self._columns[column]
        if self._start == self._kept:
            return held[:, : self._stop]
        parts = held[:, : self._kept], held[:, self._start : self._stop]
        return np.concatenate(parts, axis=1) if self._kept else parts[1]

    def samples(self, rows: NDArray[np.int64]) -> Samples:
        """Return some rows of the pool, of each seed its own."""
        places = np.where(rows < self._kept, rows, rows + (self._start - self._kept))
        return tuple(rows_of(held, places) for held in self._columns[2:])


def _columns(kind: bool, weights: Array, samples: Samples) -> Columns:
    """Return the columns of samples that are all real, or all synthetic."""
    return np.full(weights.shape, kind), weights, *samples


def _arriving(
    regime: Regime,
    simulator: Simulator[Statistics, Model],
    writer: Writer,
    model: Model,
    t: int,
    n: int,
) -> list[Columns]:
    """Return the columns of the samples that arrive at an iteration, in parts."""
    written, fresh = regime.generated(t, n), regime.fresh(t, n)
    is_real = writer.provenance(t)
    if is_real is not None:
        arriving = is_real.shape[1]
        synthetic = writer.samples(model, arriving, t)
        samples = tuple(
            np.where(is_real.reshape(*is_real.shape, *(1,) * (one.ndim - 2)), one, other)
            for one, other in zip(simulator.real(t, arriving), synthetic, strict=True)
        )
        return [(is_real, np.where(is_real, 1.0, writer.weights(synthetic, t)), *samples)]
    parts = []
    if written:
        samples = writer.samples(model, written, t)
        parts.append(_columns(False, writer.weights(samples, t), samples))
    if fresh:
        parts.append(_columns(True, np.ones((writer.seeds, fresh)), simulator.real(t, fresh)))
    return parts
