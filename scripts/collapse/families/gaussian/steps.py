"""Steps of Gaussian chains that run iteration by iteration with files, as neural families do.

They serve to try out the rules, their failures and a cluster in seconds. Training sets are
subsets of stored samples here, whereas a chain in closed form draws statistics: the metrics have
the same distribution but not the same numbers, except at iteration 1.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
from numpy.typing import NDArray

from collapse.artifacts import columns, remedies, shard_rows, training_sets
from collapse.families.gaussian.parameters import Parameters
from collapse.families.gaussian.simulator import Model, Simulator
from collapse.families.simulator import Draw, Samples
from collapse.families.step_jobs import (
    EvaluateJob,
    GenerateJob,
    ScoreJob,
    StepJob,
    Steps,
    TrainJob,
)
from collapse.seeding import Streams

_MODEL = "model.npz"
#: A sample is stored as its difference from the mean of the model that wrote it, and the standard
#: normal draw that it was made of; beside the table stands the model.
_COLUMNS, _WRITER = ("difference", "draw"), "model"


def train(job: TrainJob[Parameters]) -> dict[str, Any]:
    """Fit to the selected samples."""
    simulator = _simulator(job)
    one_writer = len({(s.kind, s.iteration) for s in job.selections}) == 1
    parts: list[Samples] = []
    for selection in job.selections:
        if selection.path is None:
            drawn = simulator.real(selection.iteration, selection.size)
            part = tuple(array[:, selection.rows] for array in drawn)
        else:
            path = Path(selection.path)
            part = _stored(simulator, path, selection.rows, selection.iteration)
        parts.append(part if one_writer else (simulator.positions(part),))
    fresh = any(selection.kind == "fresh" for selection in job.selections)
    # With new real data at every iteration, nothing bounds the span of the samples.
    simulator.real_seen = np.iinfo(np.int64).max if fresh else job.step.samples
    simulator.one_writer = one_writer
    samples = tuple(np.concatenate(arrays, axis=1) for arrays in zip(*parts, strict=True))
    weights = training_sets.weights_of(job.selections)
    if weights is not None:  # they sum to the effective sample size, as in closed form
        weights = weights[None] * (weights.sum() / (weights**2).sum())
    fitted = simulator.fit(simulator.summarise(samples, weights))
    simulator.before = simulator.writers[max(simulator.writers)]
    fitted = fitted._replace(squared_step=simulator.squared_step(fitted))
    np.savez(job.model / _MODEL, allow_pickle=False, **fitted._asdict())
    return {"samples": samples[0].shape[1]}


def generate(job: GenerateJob[Parameters]) -> dict[str, Any]:
    """Sample from the fitted model."""
    model = _load(job.model)
    simulator, slots = _simulator(job), np.asarray(job.slots)
    parts: list[list[NDArray[np.float64]]] = []
    for candidate in job.candidates:
        of = Draw(attempt=candidate)
        *drawn, _ = simulator.sample(model, int(slots[-1]) + 1, job.step.iteration, of)
        parts.append([each[0, slots] for each in drawn])
    arrays = [
        pa.FixedSizeListArray.from_arrays(
            columns.numbers(np.concatenate(each).ravel()), job.parameters.dimension
        )
        for each in zip(*parts, strict=True)
    ]
    table = pa.Table.from_arrays(arrays, names=_COLUMNS)
    described = {"mean": model.mean[0].tolist(), "factor": model.factor[0].tolist()}
    described |= {"rank": model.rank}
    table = table.replace_schema_metadata({_WRITER: json.dumps(described)})
    parquet.write_table(table, job.output)
    return {}


def score(job: ScoreJob[Parameters]) -> NDArray[np.float64]:
    """Score samples as in closed form."""
    simulator = _simulator(job)
    samples = _stored(simulator, job.samples, None, job.step.iteration)
    (found,) = simulator.score(job.name, samples)
    return found


def _stored(
    simulator: Simulator, path: Path, rows: NDArray[np.int64] | None, iteration: int
) -> Samples:
    """Return samples of one seed from a file, and tell the simulator of the model of them."""
    tables = list(shard_rows.read(path, rows, _COLUMNS))
    found = [
        np.concatenate([_rows(path, table[name], simulator.dimension) for table in tables])
        for name in _COLUMNS
    ]
    simulator.writers[iteration] = _writer(path)
    return (*(each[None] for each in found), np.full((1, len(found[0])), iteration))


def evaluate(job: EvaluateJob[Parameters]) -> dict[str, float]:
    """Evaluate the fitted model."""
    simulator = _simulator(job)
    found = simulator.evaluate(_load(job.model))
    return {name: float(values[0]) for name, values in found.items()}


def _simulator(job: StepJob[Parameters]) -> Simulator:
    step = job.step
    streams = Streams(step.experiment, step.point, step.regime, [step.seed])
    simulator = Simulator(job.parameters, step.samples, streams)
    simulator.one_writer = True  # files have the draws, which trainings on one model's samples need
    return simulator


def _load(model: Path) -> Model:
    with (
        remedies.reading(model, "the checkpoint can't be loaded"),
        np.load(model / _MODEL, allow_pickle=False) as stored,
    ):
        fields = {name: stored[name] for name in Model._fields}
        return Model(**{**fields, "rank": fields["rank"].item()})


def _writer(path: Path) -> Model:
    with remedies.reading(path, "the model of its samples can't be read"):
        stored = json.loads((parquet.read_schema(path).metadata or {})[_WRITER.encode()])
        mean, factor = np.array([stored["mean"]]), np.array([stored["factor"]])
        return Model(mean, factor.reshape(1, mean.shape[1], -1), stored["rank"])


def _rows(path: Path, column: Any, width: int) -> NDArray[np.float64]:
    expected = pa.list_(pa.float64(), width)
    if column.type != expected:
        raise remedies.damaged(path, f"expected values of type {expected}, found {column.type}")
    return columns.array(column.combine_chunks().flatten()).reshape(-1, width)


STEPS = Steps(train=train, generate=generate, evaluate=evaluate, score=score)
