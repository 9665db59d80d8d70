"""What an iteration trains on: a regime's decision, noted as a manifest and read back as rows.

Training sets are never copied. A manifest says how many samples of which source, seeded
permutations say which, and `selections` where they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from collapse import seeding
from collapse.artifacts import manifest, restoring
from collapse.artifacts.files import DamagedFileError
from collapse.artifacts.manifest import ShardFile, SourceRecord, TrainingSet
from collapse.artifacts.step import Step
from collapse.errors import JobError
from collapse.regimes import Regime, Source, draw_counts

#: What describes the files of the real data, in their folder.
DATASET = "dataset.json"


class Selection(NamedTuple):
    """Samples of one file: ``rows`` counted from the file's first, ascending.

    Without a path, the rows of the real data that a family draws at that iteration, of which
    there are ``size``.
    """

    kind: str
    iteration: int
    path: str | None
    rows: NDArray[np.int64]
    size: int


def assemble(
    output: str | Path,
    step: Step,
    regime: Regime,
    *,
    data: str | Path | None,
    previous: str | Path | None,
    records: Sequence[str],
) -> None:
    """Write the manifest of a training set; what was kept of the iteration before is removed.

    Parameters
    ----------
    output : path
        Where to.
    step : Step
        The iteration it is for.
    regime : Regime
        What decides; at iteration 1 it says nothing.
    data : path or None
        Folder of the real data, at iteration 1; None for a family that draws its own.
    previous : path or None
        Manifest of the iteration before.
    records : sequence of path
        Records of the shards that the iteration before wrote.
    """
    t, n = step.iteration, step.samples
    if previous is None:
        real = manifest.read_dataset(Path(data, DATASET)).train if data is not None else ()
        available = _length(real)
        if data is not None and available < n:
            raise JobError(f"{data}: found {available} samples of real data, expected at least {n}")
        pools: dict[tuple[str, int], tuple[ShardFile, ...]] = {}
    else:
        before = read_own(previous, step, t - 1)
        real = before.real
        pools = {(source.kind, source.iteration): source.files for source in before.sources}
    newest = tuple(manifest.read_shard_record(path).shard for path in records)
    if newest:
        pools["synthetic", t - 1] = newest
    pool = regime.pool(t, n)
    budget = regime.training_size(t, n, sum(source.size for source in pool))
    counts = draw_counts(pool, budget, step.stream("counts")) if t > 1 else [n]
    sources = []
    for source, count in zip(pool, counts, strict=True):
        written = source.kind == "synthetic"
        stored = pools.get((source.kind, source.iteration), ()) if written else real
        first = _first(regime, source, n)
        held = max(0, _length(stored) - first)
        if (written or stored) and held < source.size:
            raise JobError(
                f"{output}: found {held} samples of {_named(source)}, expected {source.size}"
            )
        sources.append(
            SourceRecord(
                kind=source.kind,
                iteration=source.iteration,
                size=source.size,
                count=int(count),
                first=first,
                files=stored if written else (),
            )
        )
    training_set = TrainingSet(
        experiment=step.experiment,
        point=step.point,
        regime=step.regime,
        seed=step.seed,
        iteration=t,
        real=real,
        sources=tuple(sources),
    )
    manifest.write(output, training_set)
    if previous is not None:
        # Training and sampling may stand in different folders at iteration 1.
        sampled = {Path(record).parent.parent for record in records}
        restoring.forget({Path(previous).parent, *sampled})


def _first(regime: Regime, source: Source, n: int) -> int:
    """Where in the seed's order of the real data a source begins: fresh data follows the rest."""
    if source.kind != "fresh":
        return 0
    return n + sum(regime.fresh(t, n) for t in range(2, source.iteration))


def _named(source: Source) -> str:
    return f"{source.kind} data of iteration {source.iteration}"


def _length(stored: Sequence[ShardFile]) -> int:
    return sum(part.stop - part.start for part in stored)


def selections(step: Step, training_set: TrainingSet) -> list[Selection]:
    """Say which rows of which files a training set consists of, file by file."""
    order = step.order_of_real_data(_length(training_set.real)) if training_set.real else None
    selected = []
    for source in training_set.sources:
        subset = np.arange(source.size)
        if source.count < source.size:
            shuffle = step.stream(f"subset of {source.kind} {source.iteration}")
            subset = np.sort(shuffle.permutation(source.size)[: source.count])
        stored = source.files
        if source.kind != "synthetic":
            stored = training_set.real
            if order is None:
                selected.append(Selection(source.kind, source.iteration, None, subset, source.size))
                continue
            subset = np.sort(order[source.first : source.first + source.size][subset])
        begin = 0
        for part in stored:
            end = begin + part.stop - part.start
            low, high = np.searchsorted(subset, (begin, end))
            if high > low:
                rows = subset[low:high] - begin
                selected.append(
                    Selection(source.kind, source.iteration, part.path, rows, end - begin)
                )
            begin = end
    return selected


def read_own(path: str | Path, step: Step, iteration: int) -> TrainingSet:
    """Read the manifest of an iteration of a step's own chain."""
    described = manifest.read_training_set(path)
    first = iteration == 1
    belongs = {
        "experiment": step.experiment,
        "point": described.point if first else step.point,  # several points share iteration 1
        "regime": seeding.REAL if first else step.regime,
        "seed": step.seed,
        "iteration": iteration,
    }
    for key, expected in belongs.items():
        found = getattr(described, key)
        if found != expected:
            raise DamagedFileError(
                f"{path}: belongs to another chain (found {key} {found}, expected {expected})"
            )
    return described
