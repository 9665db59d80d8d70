"""The steps of an iteration, which read and write files: train, generate, evaluate.

The family's functions (`collapse.families.step_jobs.Steps`) do the work of a step. The step
assemble, which decides on the training set, is `collapse.artifacts.training_sets.assemble`.
`perform` runs any step of an iteration.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from collapse import families
from collapse.artifacts import (
    files,
    identity,
    manifest,
    sources,
    training_sets,
)
from collapse.artifacts.files import DamagedFileError
from collapse.artifacts.identity import MadeOf
from collapse.artifacts.manifest import ShardFile, ShardRecord, TrainingSet
from collapse.artifacts.paths import DATASET
from collapse.artifacts.step import Step
from collapse.families.step_jobs import EvaluateJob, GenerateJob, PortrayJob
from collapse.loop import fitting
from collapse.regimes import Regime, Select


def perform(
    made_of: MadeOf,
    inputs: Mapping[str, Any],
    outputs: Mapping[str, Any],
    *,
    scratch: str | Path = "",
    threads: int = 1,
    ranks: int = 1,
    nodes: int = 1,
) -> None:
    """Run a step of an iteration.

    Parameters
    ----------
    made_of : mapping
        What the step's outputs are made of, which says what step it is.
    inputs, outputs : mapping of str to path, or to a list of paths
        The step's files, by the names that they have in its rule.
    scratch : path
        Folder of the state from which an interrupted training continues; only trainings need it.
    threads : int
        Number of threads of an evaluation.
    ranks, nodes : int
        Number of ranks and of nodes of a training.
    """
    step, data = Step(**made_of["step"]), inputs.get("data")
    if made_of["rule"] == "assemble":
        training_sets.assemble(
            outputs["training_set"],
            step,
            Regime(**made_of["settings"]),
            data=data,
            previous=inputs.get("previous"),
            records=inputs.get("records", []),
            made_of=made_of,
        )
    elif made_of["rule"] == "train":
        train(
            outputs["model"],
            outputs["record"],
            step,
            training_set=inputs["training_set"],
            data=data,
            previous=inputs.get("previous"),
            scratch=Path(scratch),
            ranks=ranks,
            nodes=nodes,
            made_of=made_of,
        )
    elif made_of["rule"] == "generate":
        generate(
            outputs["shard"],
            outputs["record"],
            step,
            **made_of["settings"],
            model=inputs["model"],
            data=data,
            made_of=made_of,
        )
    else:
        evaluate(
            outputs["metrics"],
            outputs["record"],
            step,
            model=inputs["model"],
            data=data,
            training_set=inputs["training_set"],
            records=inputs.get("records", []),
            portrait=outputs.get("portrait"),
            threads=threads,
            made_of=made_of,
        )


def train(
    model: str | Path,
    record: str | Path,
    step: Step,
    *,
    training_set: str,
    data: str | None,
    scratch: Path,
    previous: str | None = None,
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
    previous : path or None
        The checkpoint of the iteration before, if the training starts from its weights.
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
    with files.whole_directory(model) as partial:
        task = fitting.Fitting(
            step, training_set, data, str(scratch), str(partial), fitting.started_from(previous)
        )
        details = task.run() if ranks == 1 else task.run_in_ranks(ranks, nodes)
    details |= {"ranks": ranks, "seconds": time.perf_counter() - started}
    details[identity.KEY] = made_of or {}
    files.write_text(record, json.dumps(details, indent=1) + "\n")
    files.remove_directory(scratch)


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
    score: str | None = None,
    select: Mapping[str, Any] | None = None,
    made_of: MadeOf | None = None,
) -> None:
    """Write samples ``start`` to ``stop`` of a model as a Parquet file, and the shard's record.

    With the name of a ``score``, the scores of the samples are stored with them, and ``select``
    gives the fields of a `collapse.regimes.Select`, by which the samples are selected.
    """
    identity.verify_inputs(made_of)
    family = families.load(step.family)
    steps = families.load_steps(family)
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
        if score is None:
            details = steps.generate(job)
        else:
            from collapse.loop import selecting  # which imports pyarrow; few shards need it

            chosen = None if select is None else Select(**select)
            details = selecting.generate(family, steps, job, score=score, select=chosen)
        found = files.parquet_rows(partial)
        if found != len(slots):
            raise DamagedFileError(f"{shard}: found {found} samples, expected {len(slots)}")
    # The record holds no times, so that a shard that is generated again has the same record.
    written = ShardFile(path=shard, start=start, stop=stop, sha256=manifest.checksum(shard))
    manifest.write(record, ShardRecord(shard=written, details=details, made_of=made_of or {}))


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
    made_of: MadeOf | None = None,
) -> None:
    """Write the metrics of a model on real test data and of its samples, and the record of them.

    For a family with pictures, also write the portrait of the iteration.
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
        selections=training_sets.selections(step, described, weighed=False),
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
    written |= described.metrics
    files.write_text(output, json.dumps(written, indent=1) + "\n")
    about = {"seconds": time.perf_counter() - started, identity.KEY: made_of or {}}
    files.write_text(record, json.dumps(about, indent=1) + "\n")
