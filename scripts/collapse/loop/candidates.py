"""Candidates of slots: a file that a family generates, with their scores and random numbers.

All of them depend on the slot and the number of the candidate alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
from numpy.typing import NDArray

from collapse.artifacts import files, shard_rows
from collapse.artifacts.files import DamagedFileError
from collapse.artifacts.step import Step
from collapse.artifacts.weighing import SCORE
from collapse.families.step_jobs import GenerateJob, ScoreJob, Steps

Array = NDArray[np.float64]
Slots = NDArray[np.int64]


@dataclass
class Candidates:
    """Candidates of slots in a file: those of the first number of all slots come first.

    ``scores`` (slots, candidates) are those by which the regime selects.
    """

    path: Path
    slots: int
    scores: Array
    stored: Array
    details: dict[str, Any]
    group: int = field(init=False)

    def __post_init__(self) -> None:
        found = parquet.read_metadata(self.path)
        self.group = max(found.row_group(each).num_rows for each in range(found.num_row_groups))

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep the file as long as the block reads it."""
        try:
            yield
        finally:
            self.path.unlink(missing_ok=True)

    def of(self, slots: Slots, kept: NDArray[np.int64]) -> pa.Table:
        """Return the kept candidate of each of some slots, counted from the first here."""
        return self.rows(kept * self.slots + slots)

    def rows(self, places: NDArray[np.int64]) -> pa.Table:
        """Return some rows of the file in their order, with the score that is stored."""
        order = np.argsort(places, kind="stable")
        names = parquet.read_schema(self.path).names
        table = pa.concat_tables(shard_rows.read(self.path, places[order], names))
        held = table.append_column(SCORE, pa.array(self.stored.T.ravel()[places[order]]))
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        return held.take(back)


@dataclass(frozen=True)
class Drawing:
    """Generates candidates of slots and scores them."""

    steps: Steps[Any]
    job: GenerateJob[Any]
    stored: str

    @property
    def step(self) -> Step:
        """The step that the candidates are part of."""
        return self.job.step

    def candidates(self, slots: Slots, candidates: range, selecting: str) -> Candidates:
        """Generate some candidates of slots, with the scores to select by and to store."""
        path = self.job.output.with_name(f"{self.job.output.name}.candidates")
        shape = len(candidates), len(slots)
        job = replace(self.job, slots=slots.tolist(), candidates=candidates, output=path)
        try:
            details = self.steps.generate(job)
            found, expected = files.parquet_rows(path), shape[0] * shape[1]
            if found != expected:
                raise DamagedFileError(f"{path}: found {found} samples, expected {expected}")
            scores = {
                name: self._score(name, path).reshape(shape).T for name in {selecting, self.stored}
            }
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return Candidates(path, len(slots), scores[selecting], scores[self.stored], details)

    def _score(self, name: str, path: Path) -> Array:
        job = self.job
        if self.steps.score is None:
            raise TypeError(f"the family {job.step.family} scores no samples")
        return self.steps.score(
            ScoreJob(
                step=job.step,
                parameters=job.parameters,
                data=job.data,
                model=job.model,
                samples=path,
                name=name,
            )
        )


def uniforms(step: Step, purpose: str, slots: Slots, candidates: Sequence[int]) -> Array:
    """Draw a uniform number on [0, 1) for each candidate of each slot: (slots, candidates).

    A candidate's number has the streams of all slots in turn, in which a counter-based generator
    can begin anywhere.
    """
    first, last = int(slots.min()), int(slots.max())
    found = np.empty((len(slots), len(candidates)))
    for column, candidate in enumerate(candidates):
        bits = np.random.Philox(key=step.integer(f"{purpose}, candidate {candidate}"))
        bits.advance(first // 4)  # each count of the generator gives four numbers
        drawn = np.random.Generator(bits).random(last + 1 - first // 4 * 4)
        found[:, column] = drawn[slots - first // 4 * 4]
    return found
