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

from collapse import regimes, seeding
from collapse.artifacts import identity, manifest, remedies, weighing
from collapse.artifacts.identity import MadeOf
from collapse.artifacts.manifest import ShardFile, SourceRecord, TrainingSet
from collapse.artifacts.paths import DATASET
from collapse.artifacts.step import Step
from collapse.errors import JobError
from collapse.regimes import Regime, Source


class Selection(NamedTuple):
    """Samples of one file: ``rows`` are their positions among its ``size``, in ascending order.

    A row that was drawn several times is there as often. Without a path, they are positions in the
    real data that the family draws at ``iteration``, ``size`` samples. ``weights`` say how much
    each row counts; None means 1.
    """

    kind: str
    iteration: int
    path: str | None
    rows: NDArray[np.int64]
    size: int
    weights: NDArray[np.float64] | None = None


def weights_of(selections: Sequence[Selection]) -> NDArray[np.float64] | None:
    """Return how much each sample of a training set counts; None if each counts 1."""
    if all(one.weights is None for one in selections):
        return None
    return np.concatenate(
        [np.ones(len(one.rows)) if one.weights is None else one.weights for one in selections]
    )


def realised(
    regime: Regime, n: int, iterations: int, experiment: str, point: str, name: str, seed: int
) -> Regime:
    """Return the regime of a chain, with the numbers of real samples that it draws, if any."""
    stream = seeding.stream(experiment, point, name, seed, 1, "provenance")
    return regimes.realised(regime, n, iterations, stream)


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
        before: Sequence[SourceRecord] = ()
    else:
        known = read_own(previous, step, t - 1)
        real, before = known.real, known.sources
        regime = realised(regime, n, t, step.experiment, step.point, step.regime, step.seed)
    pools = {(source.kind, source.iteration): source.files for source in before}
    newest = [manifest.read_shard_record(path) for path in records]
    if newest:
        pools["synthetic", t - 1] = tuple(record.shard for record in newest)
    pool, files = regime.pool(t, n), []
    for source in pool:
        written = source.kind == "synthetic"
        stored = pools.get((source.kind, source.iteration), ()) if written else real
        held = max(0, _length(stored) - _first(regime, source, n))
        if (written or stored) and held < source.size:
            raise JobError(
                f"{output}: found {held} samples of {_named(source)}, expected {source.size}"
            )
        files.append(stored if written else ())
    composed = weighing.compose(regime, step, pool, files, before)
    sources = []
    for source, stored, count, weighs in zip(
        pool, files, composed.counts, composed.weighings, strict=True
    ):
        sources.append(
            SourceRecord(
                kind=source.kind,
                iteration=source.iteration,
                size=source.size,
                count=int(count),
                first=_first(regime, source, n),
                files=stored,
                weighing=weighs,
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
        metrics=composed.metrics | weighing.of_selection(newest),
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


def selections(step: Step, training_set: TrainingSet, *, weighed: bool = True) -> list[Selection]:
    """Return the rows of files that a training set consists of, one selection for each file.

    With ``weighed`` they have their weights, which may be read from the files.
    """
    order = step.order_of_real_data(_length(training_set.real)) if training_set.real else None
    selected = []
    for source in training_set.sources:
        subset = np.arange(source.size)
        if source.weighing is not None and source.weighing.replacement:
            generator = step.stream(f"draws of {source.kind} {source.iteration}")
            subset = weighing.draw_rows(source, generator)
        elif source.count < source.size:
            shuffle = step.stream(f"subset of {source.kind} {source.iteration}")
            subset = np.sort(shuffle.permutation(source.size)[: source.count])
        stored = source.files
        if source.kind != "synthetic":
            stored = training_set.real
            if order is None:
                weights = weighing.of_rows(source, None, subset) if weighed else None
                selected.append(
                    Selection(source.kind, source.iteration, None, subset, source.size, weights)
                )
                continue
            subset = np.sort(order[source.first : source.first + source.size][subset])
        begin = 0
        for part in stored:
            end = begin + part.stop - part.start
            low, high = np.searchsorted(subset, (begin, end))
            if high > low:
                rows = subset[low:high] - begin
                weights = weighing.of_rows(source, part.path, rows) if weighed else None
                selected.append(
                    Selection(source.kind, source.iteration, part.path, rows, end - begin, weights)
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
