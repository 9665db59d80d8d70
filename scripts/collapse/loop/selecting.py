"""Shards with scores: samples that a regime selects among candidates, or weighs by a score.

A slot's candidates, the scores of them, and the random numbers that decide among them depend on
the slot alone, so that shards may be cut anywhere. Slots are worked through in blocks, so that
candidates take no more memory than samples do.
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
from collapse.errors import JobError
from collapse.families.contract import Family
from collapse.families.step_jobs import GenerateJob, ScoreJob, Steps
from collapse.regimes import Choice, Select, choose

Array = NDArray[np.float64]
Slots = NDArray[np.int64]

#: Largest number of candidates that are generated at once, unless one slot has more.
AT_ONCE = 2**14


def generate(
    family: Family[Any],
    steps: Steps[Any],
    job: GenerateJob[Any],
    *,
    score: str,
    select: Select | None,
) -> dict[str, Any]:
    """Write a sample for each slot to ``job.output``, with its score in the column ``score``.

    Parameters
    ----------
    family : Family
        The family, which declares the scores.
    steps : Steps
        Its functions.
    job : GenerateJob
        The shard to generate.
    score : str
        The score to store.
    select : Select or None
        How the regime selects each slot's sample; None keeps the first candidate.

    Returns
    -------
    dict
        Details for the record of the shard, of a selection sums over its slots and candidates.

    Raises
    ------
    JobError
        If none of a slot's candidates passes a threshold; the message has the acceptance rate.
    """
    drawing = _Drawing(steps, job, score)
    slots = np.asarray(job.slots, dtype=np.int64)
    if select is None:
        drawn = drawing.candidates(slots, range(1), score)
        with drawn.kept(), _Writer(job.output) as writer:
            writer.write(drawn.rows(np.arange(len(slots))), drawn.group)
        return drawn.details
    sums = _Sums()
    selecting = _Selecting(drawing, select, family.scores[select.score].sign, sums)
    threshold = select.rule == "threshold"
    size = AT_ONCE if threshold else max(1, AT_ONCE // select.candidates)
    with _Writer(job.output) as writer:
        for start in range(0, len(slots), size):
            block = slots[start : start + size]
            one = selecting.first_that_pass(block) if threshold else selecting.chosen(block)
            writer.write(*one)
    return {"selection": vars(sums)}


@dataclass
class _Sums:
    """Sums over slots, from which the metrics of a selection follow for any number of shards."""

    slots: int = 0
    looked_at: int = 0
    score_of_candidates: float = 0.0
    score_of_kept: float = 0.0
    wrongly_accepted: int = 0


class _Writer:
    """Writes tables of samples with the schema of the first, into one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: parquet.ParquetWriter | None = None

    def __enter__(self) -> _Writer:
        return self

    def write(self, samples: pa.Table, group: int) -> None:
        if self._file is None:
            self._file = parquet.ParquetWriter(
                self._path, samples.schema, compression="zstd", write_statistics=False
            )
        self._file.write_table(samples, row_group_size=group)

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()


@dataclass
class _Candidates:
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
class _Drawing:
    """Generates candidates of slots and scores them."""

    steps: Steps[Any]
    job: GenerateJob[Any]
    stored: str

    @property
    def step(self) -> Step:
        return self.job.step

    def candidates(self, slots: Slots, candidates: range, selecting: str) -> _Candidates:
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
        return _Candidates(path, len(slots), scores[selecting], scores[self.stored], details)

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


@dataclass(frozen=True)
class _Selecting:
    """Selects one candidate of each slot."""

    drawing: _Drawing
    select: Select
    sign: int
    sums: _Sums

    def chosen(self, slots: Slots) -> tuple[pa.Table, int]:
        """Return the chosen candidates of slots, and the number of rows of a row group."""
        drawn = self.drawing.candidates(slots, range(self.select.candidates), self.select.score)
        with drawn.kept():
            choice = self._choose(slots, range(self.select.candidates), drawn.scores)
            (kept,) = choice.kept
            places = np.arange(len(slots))
            self.sums.slots += len(slots)
            self.sums.looked_at += drawn.scores.size
            self.sums.score_of_candidates += float(drawn.scores.sum())
            self.sums.score_of_kept += float(drawn.scores[places, kept].sum())
            self.sums.wrongly_accepted += int(choice.wrong.sum())
            return drawn.of(places, kept), drawn.group

    def first_that_pass(self, slots: Slots) -> tuple[pa.Table, int]:
        """Return the first candidate of each slot that passes the threshold.

        Slots without one draw further candidates in rounds, twice as many in each.
        """
        most, parts, order, group = self.select.candidates, [], [], 1
        left, first, each, before = slots, 0, 1, self.sums.looked_at
        while len(left) and first < most:
            some = range(first, min(most, first + min(each, max(1, AT_ONCE // len(left)))))
            drawn = self.drawing.candidates(left, some, self.select.score)
            with drawn.kept():
                choice = self._choose(left, some, drawn.scores)
                (kept,) = choice.kept
                places = np.flatnonzero(kept >= 0)
                looked_at = np.arange(len(some)) < choice.looked_at[0][:, None]
                self.sums.slots += len(places)
                self.sums.looked_at += int(looked_at.sum())
                self.sums.score_of_candidates += float(drawn.scores[looked_at].sum())
                self.sums.score_of_kept += float(drawn.scores[places, kept[places]].sum())
                self.sums.wrongly_accepted += int(choice.wrong.sum())
                if len(places):
                    parts.append(drawn.of(places, kept[places]))
                    order.append(left[places])
                    group = max(group, drawn.group)
            left, first, each = left[kept < 0], some.stop, 2 * each
        if len(left):
            raise self._exhausted(left, slots, self.sums.looked_at - before)
        return pa.concat_tables(parts).take(np.argsort(np.concatenate(order))), group

    def _exhausted(self, left: Slots, slots: Slots, looked_at: int) -> JobError:
        select, t = self.select, self.drawing.step.iteration
        rate = (len(slots) - len(left)) / looked_at
        return JobError(
            f"select.threshold: found {len(left)} of {len(slots)} samples for iteration {t + 1} "
            f"(the first in slot {left[0]}) of which none of {select.candidates} candidates has a "
            f"{select.score} that passes {select.threshold:g}, with an acceptance rate of "
            f"{rate:.3g}; expected all to pass (raise candidates, or choose another threshold)"
        )

    def _choose(self, slots: Slots, candidates: range, scores: Array) -> Choice:
        def chances(purpose: str, used: bool) -> Array:
            if not used:
                return np.broadcast_to(1.0, (1, *scores.shape))
            return uniforms(self.drawing.step, purpose, slots, candidates)[None]

        noise = chances("selection", self.select.rule == "softmax")
        mistakes = chances("errors of the verifier", self.select.error > 0)
        return choose(self.select, scores[None], self.sign, noise, mistakes)


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
