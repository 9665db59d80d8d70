"""Training sets: decided by a regime, described by a manifest, and read as rows of files.

Samples are never copied. A manifest says how many samples of which source are in a training set,
seeded permutations select them, and `selections` returns the files and rows that hold them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from collapse import seeding
from collapse.artifacts import identity, manifest, remedies
from collapse.artifacts.identity import MadeOf
from collapse.artifacts.manifest import ShardFile, SourceRecord, TrainingSet
from collapse.artifacts.paths import DATASET
from collapse.artifacts.step import Step
from collapse.errors import JobError
from collapse.regimes import Regime, Source, draw_counts


class Selection(NamedTuple):
    """Samples of one file: ``rows`` are their positions among its ``size``, in ascending order.

    Without a path, they are positions in the real data that the family draws at ``iteration``,
    ``size`` samples.
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
    made_of: MadeOf | None = None,
) -> None:
    """Write the manifest of a training set; remove the kept outputs of the iteration before.

    Parameters
    ----------
    output : path
        The file to write.
    step : Step
        The key of the iteration that trains on it.
    regime : Regime
        It decides on the training sets of all iterations but the first.
    data : path or None
        Folder of the real data, at iteration 1; None for a family that draws its own.
    previous : path or None
        Manifest of the iteration before; None at iteration 1.
    records : sequence of path
        Records of the shards that the iteration before wrote.
    made_of : mapping or None
        What the training set is made of, if a study says it; the inputs are compared with it.

    Raises
    ------
    JobError
        If a source has too few samples, or a file is damaged or of another chain.
    """
    identity.verify_inputs(made_of)
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
        made_of=made_of or {},
    )
    manifest.write(output, training_set)


def _first(regime: Regime, source: Source, n: int) -> int:
    """Return where a source begins in the seed's order of real data: fresh data comes last."""
    if source.kind != "fresh":
        return 0
    return n + sum(regime.fresh(t, n) for t in range(2, source.iteration))


def _named(source: Source) -> str:
    return f"{source.kind} data of iteration {source.iteration}"


def _length(stored: Sequence[ShardFile]) -> int:
    return sum(part.stop - part.start for part in stored)


def selections(step: Step, training_set: TrainingSet) -> list[Selection]:
    """Return the rows of files that a training set consists of, one selection for each file."""
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
    """Read the manifest of an iteration; raise `DamagedFileError` if it is of another chain."""
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
            reason = f"belongs to another chain (found {key} {found}, expected {expected})"
            raise remedies.damaged(path, reason)
    return described
