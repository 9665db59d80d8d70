"""A closed-form family run iteration by iteration, with files, as neural families are.

It is for trying out the rules, their faults and a cluster in seconds. Training sets are
real subsets of stored samples here, where a whole chain draws statistics: the law of the
metrics is the same, their numbers are not (at iteration 1 they are).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
from numpy.typing import NDArray

from collapse import families
from collapse.artifacts.manifest import ShardRecord
from collapse.artifacts.step import Step
from collapse.artifacts.training_sets import Selection
from collapse.families.contract import Prepared
from collapse.seeding import Streams

_MODEL = "model.npz"


def prepare(step: Step, parameters: Any, directory: Path) -> Prepared:
    """Nothing to prepare: the real data is drawn by name where it is needed."""
    return Prepared((), (), {})


def train(
    step: Step,
    parameters: Any,
    selections: Sequence[Selection],
    *,
    data: Path | None,
    fingerprint: str,
    scratch: Path,
    model: Path,
) -> dict[str, Any]:
    """Fit to the selected samples."""
    chain = _chain(step, parameters)
    parts = []
    for selection in selections:
        if selection.path is None:
            (values,) = chain.real(selection.iteration, selection.size)
            parts.append(values[0][selection.rows])
        else:
            column = parquet.read_table(selection.path)["values"].combine_chunks()
            parts.append(_rows(column)[selection.rows])
    fresh = any(selection.kind == "fresh" for selection in selections)
    # With new real data at every iteration, nothing bounds the span of the samples.
    chain.real_seen = np.iinfo(np.int64).max if fresh else step.samples
    fitted = chain.fit(chain.summarise((np.concatenate(parts)[None],)))
    arrays: dict[str, Any] = {name: np.asarray(value) for name, value in _fields(fitted)}
    np.savez(model / _MODEL, **arrays)
    return {"samples": sum(len(part) for part in parts)}


def generate(
    step: Step, parameters: Any, slots: range, *, model: Path, data: Path | None, output: Path
) -> dict[str, Any]:
    """Sample from the fitted model."""
    chain = _chain(step, parameters)
    (values,) = chain.sample(_load(step, model), slots.stop, step.iteration)
    wanted = values[0, slots.start :]
    column = pa.FixedSizeListArray.from_arrays(wanted.ravel(), wanted.shape[1])
    parquet.write_table(pa.table({"values": column}), output)
    return {}


def evaluate(
    step: Step,
    parameters: Any,
    *,
    model: Path,
    data: Path | None,
    selections: Sequence[Selection],
    shards: Sequence[ShardRecord],
    threads: int,
) -> dict[str, float]:
    """Evaluate the fitted model."""
    found = _chain(step, parameters).evaluate(_load(step, model))
    return {name: float(values[0]) for name, values in found.items()}


def _chain(step: Step, parameters: Any) -> Any:
    streams = Streams(step.experiment, step.point, step.regime, [step.seed])
    return families.load(step.family).Chain(parameters, step.samples, streams)


def _fields(model: Any) -> list[tuple[str, Any]]:
    return list(model._asdict().items())


def _load(step: Step, model: Path) -> Any:
    with np.load(model / _MODEL, allow_pickle=False) as stored:
        fields = {name: value if value.ndim else value.item() for name, value in stored.items()}
    return families.load(step.family).Model(**fields)


def _rows(column: Any) -> NDArray[np.float64]:
    width = column.type.list_size
    return np.asarray(column.flatten()).reshape(-1, width)
