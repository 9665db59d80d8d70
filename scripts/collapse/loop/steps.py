"""The steps of an iteration, which read and write files: prepare, train, generate, evaluate.

The family's functions (`collapse.families.step_jobs.Steps`) do the work of a step. The step
assemble, which decides on the training set, is `collapse.artifacts.training_sets.assemble`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from collapse import families
from collapse.artifacts import (
    files,
    identity,
    manifest,
    restoring,
    sources,
    training_sets,
)
from collapse.artifacts.files import DamagedFileError
from collapse.artifacts.identity import MadeOf
from collapse.artifacts.manifest import Dataset, ShardFile, ShardRecord, TrainingSet
from collapse.artifacts.paths import DATASET, TRAINING
from collapse.artifacts.step import Step
from collapse.errors import JobError
from collapse.families.step_jobs import EvaluateJob, GenerateJob, PortrayJob, StepJob
from collapse.loop import fitting


def prepare(
    directory: str | Path,
    step: Step,
    *,
    base: str | None = None,
    needed: int = 0,
    made_of: MadeOf | None = None,
) -> None:
    """Write the real data of an experiment into a folder, with a record of its files.

    ``base`` is the folder of the base that the workflow pretrained, if the family needs one, and
    ``needed`` the number of real samples that chains train on.

    Raises TypeError if the family has no data set, and JobError if the data can't be read, is
    other data than when the run began, or has fewer training samples than are needed.
    """
    identity.verify_inputs(made_of)
    sources.verify(made_of)
    family = families.load(step.family)
    write_real_data = families.load_steps(family).prepare
    if write_real_data is None:
        raise TypeError(f"the family {family.name} has no data set to prepare")
    with files.whole_directory(directory) as partial:
        try:
            prepared = write_real_data(
                StepJob(
                    step=step,
                    parameters=fitting.parameters_of(step),
                    data=partial,
                    base=None if base is None else Path(base),
                )
            )
        except JobError as error:  # the message must not name the temporary folder
            raise type(error)(str(error).replace(str(partial), str(directory))) from None
        found = sum(count for _, count in prepared.train)
        if found < needed:
            counts = ", ".join(f"{name} {count}" for name, count in _counts(prepared.details))
            raise JobError(
                f"{directory}: found {found} real training samples, expected at least the {needed} "
                "that the study asks for (samples, and fresh_real if there is any)"
                + (f"; of what was read: {counts}" if counts else "")
            )
        written = {
            split: tuple(
                ShardFile(
                    path=str(Path(directory, name)),
                    start=0,
                    stop=count,
                    sha256=manifest.checksum(partial / name),
                )
                for name, count in parts
            )
            for split, parts in (("train", prepared.train), ("test", prepared.test))
        }
        sources.verify(made_of)
        record = Dataset(**written, details=prepared.details, made_of=made_of or {})
        manifest.write(partial / DATASET, record)


def _counts(details: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, int]]:
    """Yield the counts above 0 among the details of real data, which say what was left out."""
    for name, value in details.items():
        if isinstance(value, Mapping):
            yield from _counts(value, f"{prefix}{name} ")
        elif isinstance(value, int) and value > 0:
            yield prefix + name, value


def train(
    model: str | Path,
    record: str | Path,
    step: Step,
    *,
    training_set: str,
    data: str | None,
    scratch: Path,
    ranks: int = 1,
    nodes: int = 1,
    made_of: MadeOf | None = None,
) -> None:
    """Train the model of an iteration, after verifying the checksums of its training data.

    Parameters
    ----------
    model, record : path
        The folder of the checkpoint and the record of the training, which are written.
    step : Step
        The key of the step.
    training_set : path
        The manifest of the training set.
    data : path or None
        Folder of the real data; None for a family that draws its own.
    scratch : path
        Folder of the state from which an interrupted training continues; removed after success.
    ranks, nodes : int
        Number of processes that train together, one for each GPU, and of their nodes.
    made_of : mapping or None
        What the model is made of, if a study says it; the inputs are compared with it.

    Raises
    ------
    JobError
        If a file of the training set is damaged or of another chain, or the training fails.
    """
    started = time.perf_counter()
    identity.verify_inputs(made_of)
    sources.verify(made_of)
    read_verified(step, training_set, data)
    work = _work(step, "train", [model, record], Path(model).parent, training_set)
    if work.restore():
        return
    with files.whole_directory(model) as partial:
        task = fitting.Fitting(step, training_set, data, str(scratch), str(partial))
        details = task.run() if ranks == 1 else task.run_in_ranks(ranks, nodes)
    details |= {"ranks": ranks, "seconds": time.perf_counter() - started}
    details[identity.KEY] = made_of or {}
    files.write_text(record, json.dumps(details, indent=1) + "\n")
    files.remove_directory(scratch)
    work.keep()


def _work(
    step: Step, name: str, outputs: Sequence[str | Path], folder: Path, made_of: str | Path
) -> restoring.Work:
    """Return a step's work, whose outputs are kept in the folder of its iteration."""
    rule = name.partition("-")[0]
    return restoring.Work(
        name=name,
        folder=folder,
        outputs=tuple(map(Path, outputs)),
        inputs=(Path(made_of),),
        identity={
            "step": step.as_dict(),
            "version": fitting.version_of(step, rule),
        },
    )


def read_verified(step: Step, path: str, data: str | None = None) -> TrainingSet:
    """Read the manifest of a step's training set, and verify the files that hold its samples.

    Also verify the test set in a folder of real data. All that is lost or damaged is named.
    """
    described = training_sets.read_own(path, step, step.iteration)
    used = set()
    for source in described.sources:
        if source.count:
            used |= set(source.files if source.kind == "synthetic" else described.real)
    if data is not None:
        used |= set(manifest.read_dataset(Path(data, DATASET)).test)
    manifest.verify(sorted(used, key=lambda part: part.path))
    return described


def generate(
    shard: str,
    record: str,
    step: Step,
    *,
    start: int,
    stop: int,
    model: str,
    data: str | None,
    made_of: MadeOf | None = None,
) -> None:
    """Write samples ``start`` to ``stop`` of a model as a Parquet file, and the shard's record."""
    identity.verify_inputs(made_of)
    # The record of the training, which is beside the model, identifies the model.
    training, folder = Path(model).with_name(TRAINING), Path(shard).parent.parent
    work = _work(step, f"generate-{start}-{stop}", [shard, record], folder, training)
    if work.restore():
        return
    steps = families.load_steps(families.load(step.family))
    slots = range(start, stop)
    with files.whole(shard) as partial:
        job = GenerateJob(
            step=step,
            parameters=fitting.parameters_of(step),
            data=Path(data or ""),
            slots=slots,
            model=Path(model),
            output=partial,
        )
        details = steps.generate(job)
        found = files.parquet_rows(partial)
        if found != len(slots):
            raise DamagedFileError(f"{shard}: found {found} samples, expected {len(slots)}")
    # The record holds no times, so that a shard that is generated again has the same record.
    written = ShardFile(path=shard, start=start, stop=stop, sha256=manifest.checksum(shard))
    manifest.write(record, ShardRecord(shard=written, details=details, made_of=made_of or {}))
    work.keep()


def evaluate(
    output: str | Path,
    record: str | Path,
    step: Step,
    *,
    model: str,
    data: str | None,
    training_set: str,
    records: Sequence[str],
    portrait: str | None = None,
    threads: int = 1,
    done_with: Sequence[str] = (),
    made_of: MadeOf | None = None,
) -> None:
    """Write the metrics of a model on real test data and of its samples, and the record of them.

    For a family with pictures, also write the portrait of the iteration. Afterwards, remove the
    kept outputs of the folders ``done_with``, whose checkpoints nothing needs any more.
    """
    started = time.perf_counter()
    identity.verify_inputs(made_of)
    described = training_sets.read_own(training_set, step, step.iteration)
    shards = [manifest.read_shard_record(path) for path in records]
    read = [each.shard for each in shards]
    if data is not None:
        read += manifest.read_dataset(Path(data, DATASET)).test
    manifest.verify(read)
    family = families.load(step.family)
    steps = families.load_steps(family)
    job = EvaluateJob(
        step=step,
        parameters=fitting.parameters_of(step),
        data=Path(data or ""),
        selections=training_sets.selections(step, described),
        model=Path(model),
        shards=shards,
        threads=threads,
    )
    if portrait is not None and steps.portray is not None:
        with files.whole(portrait) as partial:
            steps.portray(
                PortrayJob(
                    step=step,
                    parameters=job.parameters,
                    data=job.data,
                    model=job.model,
                    shards=shards,
                    output=partial,
                )
            )
    metrics = steps.evaluate(job)
    written = {name: float(metrics.get(name, np.nan)) for name in family.metrics}
    files.write_text(output, json.dumps(written, indent=1) + "\n")
    about = {"seconds": time.perf_counter() - started, identity.KEY: made_of or {}}
    files.write_text(record, json.dumps(about, indent=1) + "\n")
    restoring.discard(done_with)
