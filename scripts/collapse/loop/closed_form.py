"""The loop of closed-form families: fit, evaluate, sample, and form the next training set.

One call runs a chain for all its seeds at once. If the regime trains on whole pools, the loop
keeps statistics of shards and merges them, so that T iterations cost O(T). If it trains on random
subsets of its pool, the loop keeps samples, and draws only those that some iteration trains on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collapse import families
from collapse.families.simulator import Model, Samples, Simulator, Statistics
from collapse.progress import track
from collapse.regimes import Regime, Source, draw_positions
from collapse.seeding import Streams
from collapse.study.chain_spec import ChainSpec

#: Bytes of samples that one batch of seeds may hold; a job then needs well under 2 GB of memory.
MEMORY = 400_000_000


def run_chain(spec: ChainSpec, seeds: Sequence[int]) -> dict[str, NDArray[np.float64]]:
    """Run one chain for several seeds; the results of a seed don't depend on the other seeds.

    Returns
    -------
    dict of str to ndarray
        For each metric of the family an array of shape (seeds, evaluated iterations), or
        (seeds,) if the metric is one number per chain.

    Raises
    ------
    TypeError
        If the family does not run in closed form.
    """
    family = families.load(spec.family)
    if family.closed_form is None:
        raise TypeError(f"the family {family.name} does not run in closed form")
    set_up = family.closed_form.simulator
    parameters = family.parameters(**spec.parameters)
    # One sample of one seed shows its size in bytes, and so how many seeds fit into memory.
    probe = set_up(parameters, spec.samples, _streams(spec, seeds[:1]))
    width = sum(array[0, 0].nbytes for array in probe.real(1, 1))
    batch = max(1, MEMORY // max(1, width * _rows_in_memory(spec)))
    results = []
    for start in range(0, len(seeds), batch):
        streams = _streams(spec, seeds[start : start + batch])
        results.append(_run_batch(spec, set_up(parameters, spec.samples, streams), streams))
    return {name: np.concatenate([result[name] for result in results]) for name in results[0]}


def _streams(spec: ChainSpec, seeds: Sequence[int]) -> Streams:
    return Streams(spec.experiment, spec.point, spec.regime_name, seeds)


def _rows_in_memory(spec: ChainSpec) -> int:
    """Return an upper bound of the number of samples of a seed that are in memory at once."""
    regime, n = spec.regime, spec.samples
    if regime.trains_on_whole_pools:
        return n + max(regime.pool_sizes(spec.iterations, n))
    later = range(2, spec.iterations + 1)
    return n + sum(regime.generated(t, n) + regime.fresh(t, n) for t in later)


def _run_batch(
    spec: ChainSpec, simulator: Simulator[Statistics, Model], streams: Streams
) -> dict[str, NDArray[np.float64]]:
    whole = spec.regime.trains_on_whole_pools
    models = _on_whole_pools(spec, simulator) if whole else _on_subsets(spec, simulator, streams)
    recorded: dict[str, list[NDArray[np.float64]]] = {}
    evaluated = set(spec.evaluated)
    shown = track(models, "running the chain", spec.iterations, unit="iterations")
    for t, model in enumerate(shown, start=1):
        if t in evaluated:
            for name, values in simulator.evaluate(model).items():
                recorded.setdefault(name, []).append(values)
    results = {name: np.stack(values, axis=1) for name, values in recorded.items()}
    results.update(simulator.finish(model, spec.iterations, _later(spec)))
    return results


def _later(spec: ChainSpec) -> Iterator[int] | None:
    """Return the sizes of the training sets after the last iteration, or None; see `finish`."""
    regime, n = spec.regime, spec.samples
    # A chain whose samples grow may never collapse, and one whose samples shrink ends.
    after = spec.iterations + 1
    steady = regime.generated(after, n) == regime.generated(after + 1, n)
    if not (steady and regime.trains_on_whole_pools and regime.sees_newest_alone(n)):
        return None
    return regime.generated_from(after, n)


def _on_whole_pools(spec: ChainSpec, simulator: Simulator[Statistics, Model]) -> Iterator[Model]:
    """Yield the models of a chain that trains on whole pools, from statistics of shards."""
    regime, n = spec.regime, spec.samples
    real = simulator.real(1, n)
    model = simulator.fit(simulator.summarise(real))
    yield model
    kept = regime.kept_real(n)
    pool = simulator.summarise(tuple(array[:, :kept] for array in real)) if kept else None
    del real
    window: deque[Any] = deque(maxlen=regime.memory)
    for t in range(2, spec.iterations + 1):
        arrivals = []
        if size := regime.generated(t, n):
            arrivals.append(simulator.sample_statistics(model, size, t - 1))
        if size := regime.fresh(t, n):
            arrivals.append(simulator.summarise(simulator.real(t, size)))
        if regime.memory is None:
            # No shard ever leaves the pool, so each is merged into it once.
            pool = reduce(simulator.merge, arrivals if pool is None else [pool, *arrivals])
            training = pool
        else:
            window.append(arrivals)
            parts = [shard for arrived in window for shard in arrived]
            training = reduce(simulator.merge, parts if pool is None else [pool, *parts])
        model = simulator.fit(training)
        yield model


def _on_subsets(
    spec: ChainSpec, simulator: Simulator[Statistics, Model], streams: Streams
) -> Iterator[Any]:
    """Yield the models of a chain that trains on random subsets of its pool, kept as samples.

    The rows of a shard on which iteration t trains don't depend on the data, so they are drawn
    first. If samples are exchangeable, only those that some iteration trains on are then made.
    """
    regime, n = spec.regime, spec.samples
    simulator.one_writer = regime.sees_newest_alone(n)
    layout = _Layout(spec, exchangeable=simulator.exchangeable, streams=streams)
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
                _store(storage, slots, simulator.sample(model, width, t - 1))
            else:
                _store(storage, slots, simulator.real(t, source.size))
        rows = layout.training[t]
        drawn = tuple(_rows(array, rows) for array in storage)
        model = simulator.fit(simulator.summarise(drawn))
        yield model


def _rows(held: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
    """Return rows of each seed in a contiguous array, because sums depend on memory layout."""
    drawn = np.empty((*rows.shape, *held.shape[2:]), held.dtype)
    for source, chosen, target in zip(held, rows, drawn, strict=True):
        np.take(source, chosen, axis=0, out=target, mode="clip")  # "raise" would buffer
    return drawn


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

    def __init__(self, spec: ChainSpec, *, exchangeable: bool, streams: Streams) -> None:
        regime, n = spec.regime, spec.samples
        shards = [Source("real", 1, n)]
        for t in range(2, spec.iterations + 1):
            shards.extend(_arriving(regime, t, n))
        starts = np.cumsum([0] + [shard.size for shard in shards])
        start_of = {
            (shard.kind, shard.iteration): start
            for shard, start in zip(shards, starts[:-1], strict=True)
        }
        self.training = self._draw(spec, start_of, streams)
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
        self, spec: ChainSpec, start_of: Mapping[Any, int], streams: Streams
    ) -> dict[int, NDArray[np.int64]]:
        regime, n = spec.regime, spec.samples
        sizes = regime.pool_sizes(spec.iterations, n)
        training = {}
        for t in range(2, spec.iterations + 1):
            budget = regime.training_size(t, n, sizes[t - 1])
            positions = np.stack(
                [
                    draw_positions(sizes[t - 1], budget, generator)
                    for generator in streams.each("subset", t)
                ]
            )
            pool = regime.pool(t, n)
            ends = np.cumsum([source.size for source in pool])
            begins = ends - [source.size for source in pool]
            offsets = [start_of[source.kind, source.iteration] for source in pool] - begins
            if (offsets == offsets[0]).all():
                training[t] = positions + offsets[0]
            else:
                training[t] = positions + offsets[np.searchsorted(ends, positions, side="right")]
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
