"""Chains in closed form that train on whole pools: statistics of shards are enough.

T iterations cost O(T) under every regime that forgets nothing, because a shard is merged into its
pool once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from functools import reduce
from typing import Any, Generic, NamedTuple

from collapse.families.simulator import Model, Simulator, Statistics
from collapse.loop.writing import Writer
from collapse.regimes import Totals, balance
from collapse.study.chain_spec import ChainSpec


def models(
    spec: ChainSpec, simulator: Simulator[Statistics, Model], writer: Writer
) -> Iterator[Model]:
    """Yield the models of a chain whose samples all count the same."""
    regime, n = spec.regime, spec.samples
    simulator.one_writer = True
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
            arrivals.append(writer.statistics(model, size, t))
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


class _Part(NamedTuple):
    """The statistics of samples, and the totals of their weights."""

    statistics: Any
    totals: Totals


class _Pool(Generic[Statistics, Model]):
    """The samples of one kind, real or synthetic, that are in the pool."""

    def __init__(
        self, simulator: Simulator[Statistics, Model], memory: int | None, first: _Part | None
    ) -> None:
        self._simulator = simulator
        self._kept = first
        self._window: deque[_Part | None] | None = None if memory is None else deque(maxlen=memory)

    def add(self, arrived: _Part | None) -> None:
        """Add what arrives at an iteration, and forget what leaves the pool."""
        if self._window is not None:
            self._window.append(arrived)
        elif arrived is not None:
            self._kept = self._union([self._kept, arrived])

    def whole(self) -> _Part | None:
        """Return all samples of this kind that are in the pool."""
        return self._union([self._kept, *(self._window or ())])

    def _union(self, parts: list[_Part | None]) -> _Part | None:
        there = [part for part in parts if part is not None]
        if not there:
            return None
        statistics = reduce(self._simulator.merge, (part.statistics for part in there))
        return _Part(statistics, reduce(Totals.plus, (part.totals for part in there)))


def weighted_models(
    spec: ChainSpec, simulator: Simulator[Statistics, Model], writer: Writer
) -> Iterator[Model]:
    """Yield the models of a chain whose samples count differently, or arrive at random.

    Real and synthetic samples are merged apart, and weighed when an iteration trains on them.
    """
    regime, n = spec.regime, spec.samples
    seeds = writer.seeds
    simulator.one_writer = writer.has_one_author
    drawn = simulator.real(1, n)
    model = simulator.fit(simulator.summarise(drawn))
    yield model
    kept, first = regime.kept_real(n), None
    if kept:
        statistics = simulator.summarise(tuple(array[:, :kept] for array in drawn))
        first = _Part(statistics, Totals.equal(kept, seeds))
    real = _Pool(simulator, regime.memory, first)
    synthetic = _Pool(simulator, regime.memory, None)
    for t in range(2, spec.iterations + 1):
        written, fresh = regime.generated(t, n), regime.fresh(t, n)
        is_real = writer.provenance(t)
        if is_real is not None:
            written = fresh = is_real.shape[1]
        arrived = None
        if written:
            if is_real is None and writer.counts_all_the_same:
                shard = writer.statistics(model, written, t)
                arrived = _Part(shard, Totals.equal(written, seeds))
            else:
                samples = writer.samples(model, written, t)
                weights = writer.weights(samples, t, None if is_real is None else ~is_real)
                arrived = _Part(simulator.summarise(samples, weights), Totals.of(weights))
        synthetic.add(arrived)
        arrived = None
        if fresh:
            samples = simulator.real(t, fresh)
            if is_real is None:
                arrived = _Part(simulator.summarise(samples), Totals.equal(fresh, seeds))
            else:
                weights = is_real.astype(float)
                arrived = _Part(simulator.summarise(samples, weights), Totals.of(weights))
        real.add(arrived)
        model = simulator.fit(_training_set(simulator, writer, t, real.whole(), synthetic.whole()))
        yield model


def _training_set(
    simulator: Simulator[Statistics, Model],
    writer: Writer,
    t: int,
    real: _Part | None,
    synthetic: _Part | None,
) -> Statistics:
    """Return the statistics of the training set of an iteration, and record its weights."""
    nothing = Totals.equal(0, writer.seeds)
    totals = tuple(nothing if part is None else part.totals for part in (real, synthetic))
    factors = balance(writer.real_share(t), *totals)
    writer.record_weights(t, factors, *totals)
    parts = [
        simulator.weighted(part.statistics, factor)
        for part, factor in ((real, factors.real), (synthetic, factors.synthetic))
        if part is not None
    ]
    return reduce(simulator.merge, parts)
