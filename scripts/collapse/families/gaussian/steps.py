"""Steps of Gaussian chains that run iteration by iteration with files, as neural families do.

They serve to try out the rules, their failures and a cluster in seconds. Training sets are
subsets of stored samples here, whereas a chain in closed form draws statistics: the metrics have
the same distribution but not the same numbers, except at iteration 1.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
from numpy.typing import NDArray

from collapse.artifacts import remedies, shard_rows
from collapse.families.gaussian import Model, Parameters, Simulator
from collapse.families.step_jobs import EvaluateJob, GenerateJob, StepJob, Steps, TrainJob
from collapse.seeding import Streams

_MODEL = "model.npz"


def train(job: TrainJob[Parameters]) -> dict[str, Any]:
    """Fit to the selected samples."""
    simulator = _simulator(job)
    parts = []
    for selection in job.selections:
        if selection.path is None:
            (values,) = simulator.real(selection.iteration, selection.size)
            parts.append(values[0][selection.rows])
        else:
            path = Path(selection.path)
            for table in shard_rows.read(path, selection.rows, ("values",)):
                parts.append(_rows(path, table["values"], job.parameters.dimension))
    fresh = any(selection.kind == "fresh" for selection in job.selections)
    # With new real data at every iteration, nothing bounds the span of the samples.
    simulator.real_seen = np.iinfo(np.int64).max if fresh else job.step.samples
    fitted = simulator.fit(simulator.summarise((np.concatenate(parts)[None],)))
    arrays: dict[str, Any] = {name: np.asarray(value) for name, value in fitted._asdict().items()}
    np.savez(job.model / _MODEL, **arrays)
    return {"samples": sum(len(part) for part in parts)}


def generate(job: GenerateJob[Parameters]) -> dict[str, Any]:
    """Sample from the fitted model."""
    simulator = _simulator(job)
    (values,) = simulator.sample(_load(job.model), job.slots.stop, job.step.iteration)
    wanted = values[0, job.slots.start :]
    column = pa.FixedSizeListArray.from_arrays(wanted.ravel(), wanted.shape[1])
    parquet.write_table(pa.table({"values": column}), job.output)
    return {}


def evaluate(job: EvaluateJob[Parameters]) -> dict[str, float]:
    """Evaluate the fitted model."""
    found = _simulator(job).evaluate(_load(job.model))
    return {name: float(values[0]) for name, values in found.items()}


def _simulator(job: StepJob[Parameters]) -> Simulator:
    step = job.step
    streams = Streams(step.experiment, step.point, step.regime, [step.seed])
    return Simulator(job.parameters, step.samples, streams)


def _load(model: Path) -> Model:
    with (
        remedies.reading(model, "the checkpoint can't be loaded"),
        np.load(model / _MODEL, allow_pickle=False) as stored,
    ):
        fields = {name: value if value.ndim else value.item() for name, value in stored.items()}
        return Model(**fields)


def _rows(path: Path, column: Any, width: int) -> NDArray[np.float64]:
    expected = pa.list_(pa.float64(), width)
    if column.type != expected:
        raise remedies.damaged(path, f"expected values of type {expected}, found {column.type}")
    return np.asarray(column.combine_chunks().flatten()).reshape(-1, width)


STEPS = Steps(train=train, generate=generate, evaluate=evaluate)
