"""The loop of closed-form families: fit, evaluate, sample, and form the next training set.

One call runs a chain for all its seeds at once. If the regime trains on whole pools, the loop
keeps statistics of shards (`collapse.loop.whole_pools`); if it trains on random subsets of its
pool, samples (`collapse.loop.subsets`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collapse import families
from collapse.families.simulator import Simulator
from collapse.loop import populations, subsets, whole_pools
from collapse.loop.selected_draws import ROUND
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
        (seeds,) if the metric is one number per chain; of a population (seeds, models, ...).

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
    simulator = functools.partial(set_up, parameters, spec.samples)
    probe = simulator(Streams(spec.experiment, spec.point, spec.regime_name, seeds[:1]))
    width = sum(array[0, 0].nbytes for array in probe.real(1, 1))
    at_once = max(1, CANDIDATES // max(1, width))
    rows = spec.regime.models * _rows_in_memory(spec, at_once)
    batch = max(1, MEMORY // max(1, width * rows))
    results = [
        _run_batch(spec, simulator, seeds[start : start + batch], at_once)
        for start in range(0, len(seeds), batch)
    ]
    return {name: np.concatenate([result[name] for result in results]) for name in results[0]}


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
    spec: ChainSpec,
    simulator: Callable[[Streams], Simulator[Any, Any]],
    seeds: Sequence[int],
    at_once: int,
) -> dict[str, NDArray[np.float64]]:
    newest: list[Any] = []
    members = populations.members(spec, seeds, simulator, newest, at_once)
    chains = populations.in_step([_models(spec, member) for member in members], newest)
    recorded: list[dict[str, list[NDArray[np.float64]]]] = [{} for _ in members]
    evaluated = set(spec.evaluated)
    shown = track(chains, "running the chain", spec.iterations, unit="iterations")
    for t, models in enumerate(shown, start=1):
        if t in evaluated:
            for member, model, values in zip(members, models, recorded, strict=True):
                metrics = {**member.simulator.evaluate(model), **member.writer.metrics(t)}
                for name, found in metrics.items():
                    values.setdefault(name, []).append(found)
    results = []
    for member, model, values in zip(members, models, recorded, strict=True):
        of_member = {name: np.stack(found, axis=1) for name, found in values.items()}
        last = member.simulator.finish(model, spec.iterations, _later(spec))
        results.append({**of_member, **last})
    if spec.regime.population is None:
        return results[0]
    return {name: np.stack([one[name] for one in results], axis=1) for name in results[0]}


def _models(spec: ChainSpec, member: populations.Member) -> Iterator[Any]:
    """Return the models of a member of a population, as the regime trains them."""
    regime, (simulator, writer, streams) = spec.regime, member
    if not regime.trains_on_whole_pools:
        return subsets.models(spec, simulator, writer, streams)
    if regime.weigh is None and regime.provenance == "fixed":
        return whole_pools.models(spec, simulator, writer)
    return whole_pools.weighted_models(spec, simulator, writer)


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
