"""The loop of closed-form families: fit, evaluate, sample, and form the next training set.

One call runs a chain for all its seeds at once. If the regime trains on whole pools, the loop
keeps statistics of shards (`collapse.loop.whole_pools`); if it trains on random subsets of its
pool, samples (`collapse.loop.subsets`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from collapse import families
from collapse.families.simulator import Model, Simulator, Statistics
from collapse.loop import subsets, whole_pools
from collapse.loop.selected_draws import ROUND
from collapse.loop.writing import Writer
from collapse.progress import track
from collapse.seeding import Streams
from collapse.study.chain_spec import ChainSpec

#: Bytes of samples that one batch of seeds may hold; a job then needs well under 2 GB of memory.
MEMORY = 400_000_000
#: Bytes of candidates of a seed that are in memory at once, with best and softmax.
CANDIDATES = MEMORY // 8


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
    at_once = max(1, CANDIDATES // max(1, width))
    batch = max(1, MEMORY // max(1, width * _rows_in_memory(spec, at_once)))
    results = []
    for start in range(0, len(seeds), batch):
        streams = _streams(spec, seeds[start : start + batch])
        results.append(
            _run_batch(spec, set_up(parameters, spec.samples, streams), streams, at_once)
        )
    return {name: np.concatenate([result[name] for result in results]) for name in results[0]}


def _streams(spec: ChainSpec, seeds: Sequence[int]) -> Streams:
    return Streams(spec.experiment, spec.point, spec.regime_name, seeds)


def _rows_in_memory(spec: ChainSpec, at_once: int) -> int:
    """Return an upper bound of the number of samples of a seed that are in memory at once.

    With best and softmax, ``at_once`` is how many of them are candidates.
    """
    regime, n = spec.regime, spec.samples
    later = range(2, spec.iterations + 1)
    candidates = 0
    if regime.select is not None:
        each, written = (
            regime.select.candidates,
            max((regime.generated(t, n) for t in later), default=0),
        )
        if regime.select.rule == "threshold":
            candidates = min(ROUND, each) * written
        else:
            candidates = min(at_once, each * written)
    if regime.trains_on_whole_pools:
        return n + 2 * candidates + max(regime.pool_sizes(spec.iterations, n))
    return n + 2 * candidates + sum(regime.generated(t, n) + regime.fresh(t, n) for t in later)


def _run_batch(
    spec: ChainSpec, simulator: Simulator[Statistics, Model], streams: Streams, at_once: int
) -> dict[str, NDArray[np.float64]]:
    regime, writer = spec.regime, Writer(spec, simulator, streams, at_once)
    if not regime.trains_on_whole_pools:
        models = subsets.models(spec, simulator, writer, streams)
    elif regime.weigh is None and regime.provenance == "fixed":
        models = whole_pools.models(spec, simulator, writer)
    else:
        models = whole_pools.weighted_models(spec, simulator, writer)
    recorded: dict[str, list[NDArray[np.float64]]] = {}
    evaluated = set(spec.evaluated)
    shown = track(models, "running the chain", spec.iterations, unit="iterations")
    for t, model in enumerate(shown, start=1):
        if t in evaluated:
            metrics = {**simulator.evaluate(model), **writer.metrics(t)}
            for name, values in metrics.items():
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
    plain = regime.is_plain and regime.trains_on_whole_pools
    if not (steady and plain and regime.sees_newest_alone(n)):
        return None
    return regime.generated_from(after, n)
