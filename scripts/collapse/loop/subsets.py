"""Chains in closed form that train on random subsets of their pools: samples are kept.

Only those samples are drawn that some iteration trains on, if the samples of a shard are alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collapse.families.simulator import Model, Samples, Simulator, Statistics
from collapse.loop import kept_shards
from collapse.loop.weighted_draws import rows_of, rows_of_kinds
from collapse.loop.writing import Writer
from collapse.regimes import Regime, Source, draw_positions
from collapse.seeding import Streams
from collapse.study.chain_spec import ChainSpec


def models(
    spec: ChainSpec, simulator: Simulator[Statistics, Model], writer: Writer, streams: Streams
) -> Iterator[Model]:
    """Yield the models of a chain that trains on random subsets of its pool.

    Which rows of its pool iteration t trains on does not depend on the data, unless scores weigh
    them; then they are drawn first. If samples are exchangeable, only those that some iteration
    trains on are made.
    """
    regime, n = spec.regime, spec.samples
    simulator.one_writer = regime.sees_newest_alone(n) and writer.has_one_author
    if not writer.counts_all_the_same or _kinds_arrive_at_random(spec):
        yield from kept_shards.models(spec, simulator, writer, streams)
        return
    # All slots are filled if samples are selected, because the metrics of a selection are of all,
    # and if several models write a shard, whose samples are then not alike.
    some = simulator.exchangeable and regime.select is None and writer.has_one_author
    layout = _Layout(spec, exchangeable=some, streams=streams, writer=writer)
    real = simulator.real(1, n)
    model = simulator.fit(simulator.summarise(real))
    yield model
    storage = tuple(
        np.empty((len(streams), layout.rows, *array.shape[2:]), array.dtype) for array in real
    )
    _store(storage, layout.slots[Source("real", 1, n)], real)
    for t in range(2, spec.iterations + 1):
        for source in _arriving(regime, t, n):
            slots = layout.slots[source]
            width = slots.stop - slots.start
            if source.kind == "synthetic":
                _store(storage, slots, writer.samples(model, width, t))
            else:
                _store(storage, slots, simulator.real(t, source.size))
        rows = layout.training[t]
        drawn = tuple(rows_of(array, rows) for array in storage)
        model = simulator.fit(simulator.summarise(drawn))
        yield model


def _kinds_arrive_at_random(spec: ChainSpec) -> bool:
    """Tell whether which of the samples in the pool are real is drawn, and matters to a draw."""
    regime, n = spec.regime, spec.samples
    if regime.provenance == "fixed":
        return False
    return any(regime.fresh(t, n) for t in range(2, spec.iterations + 1))


def _store(storage: Samples, slots: slice, samples: Samples) -> None:
    for held, new in zip(storage, samples, strict=True):
        held[:, slots] = new[:, : slots.stop - slots.start]


def _arriving(regime: Regime, t: int, n: int) -> list[Source]:
    arriving = (
        Source("synthetic", t - 1, regime.generated(t, n)),
        Source("fresh", t, regime.fresh(t, n)),
    )
    return [source for source in arriving if source.size]


class _Layout:
    """The rows in which each shard's samples are stored, and those that iteration t trains on.

    Attributes
    ----------
    rows : int
        Number of samples stored for each seed.
    slots : dict of Source to slice
        The rows of each shard.
    training : dict of int to ndarray, shape (seeds, budget)
        The rows of the training set of each iteration t >= 2.
    """

    def __init__(
        self, spec: ChainSpec, *, exchangeable: bool, streams: Streams, writer: Writer
    ) -> None:
        regime, n = spec.regime, spec.samples
        shards = [Source("real", 1, n)]
        for t in range(2, spec.iterations + 1):
            shards.extend(_arriving(regime, t, n))
        starts = np.cumsum([0] + [shard.size for shard in shards])
        self.training = self._draw(spec, streams, writer)
        # The first iteration that trains on each row, or T + 1 if none does.
        never = spec.iterations + 1
        kind = np.min_scalar_type(never)  # small integers sort several times faster
        first = np.full((len(streams), starts[-1]), never if exchangeable else 1, kind)
        first[:, :n] = 1
        for t in range(spec.iterations, 1, -1):
            rows = self.training[t]
            earlier = np.minimum(np.take_along_axis(first, rows, axis=1), kind.type(t))
            np.put_along_axis(first, rows, earlier, axis=1)
        self._compact(shards, starts, first, never)

    def _draw(
        self, spec: ChainSpec, streams: Streams, writer: Writer
    ) -> dict[int, NDArray[np.int64]]:
        """Return which rows each iteration trains on, of all in the order of their arrival."""
        regime, n = spec.regime, spec.samples
        kept, sizes = regime.kept_real(n), regime.pool_sizes(spec.iterations, n)
        arrived = n
        training = {}
        for t in range(2, spec.iterations + 1):
            arrived += regime.generated(t, n) + regime.fresh(t, n)
            budget = regime.training_size(t, n, sizes[t - 1])
            if regime.weigh is None:
                positions = np.stack(
                    [
                        draw_positions(sizes[t - 1], budget, generator)
                        for generator in streams.each("subset", t)
                    ]
                )
            else:
                kinds = np.repeat(
                    [source.kind != "synthetic" for source in regime.pool(t, n)],
                    [source.size for source in regime.pool(t, n)],
                )
                positions = rows_of_kinds(regime, writer, streams, t, budget, kinds)
            # The pool is the real samples that are kept, and the newest of all.
            forgotten = arrived - sizes[t - 1]
            training[t] = np.where(positions < kept, positions, positions + forgotten)
        return training

    def _compact(
        self,
        shards: list[Source],
        starts: NDArray[np.int64],
        first: NDArray[np.unsignedinteger[Any]],
        never: int,
    ) -> None:
        """Give a slot to each row that is drawn, in the order in which rows are first used.

        This order makes the first iterations of a longer chain equal those of a shorter one. A
        shard gets as many slots as the seed needs that draws the most of its rows.
        """
        rank = np.empty(first.shape, dtype=np.int64)
        self.slots: dict[Source, slice] = {}
        self.rows = 0
        for shard, start, stop in zip(shards, starts[:-1], starts[1:], strict=True):
            used = first[:, start:stop]
            width = int((used < never).sum(axis=1).max())
            order = np.argsort(used, axis=1, kind="stable")
            slots = np.arange(self.rows, self.rows + stop - start)
            np.put_along_axis(rank[:, start:stop], order, slots[None], axis=1)
            self.slots[shard] = slice(self.rows, self.rows + width)
            self.rows += width
        self.training = {
            t: np.take_along_axis(rank, rows, axis=1) for t, rows in self.training.items()
        }
