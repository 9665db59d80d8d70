"""Shards with scores: samples that a regime selects among candidates, or weighs by a score.

A slot's candidates, the scores of them, and the random numbers that decide among them depend on
the slot alone, so that shards may be cut anywhere. Slots are worked through in blocks, so that
candidates take no more memory than samples do.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
from numpy.typing import NDArray

from collapse.errors import JobError
from collapse.families.contract import Family
from collapse.families.step_jobs import GenerateJob, Steps
from collapse.loop.candidates import Drawing, Slots, uniforms
from collapse.regimes import Choice, Select, choose

Array = NDArray[np.float64]

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
    drawing = Drawing(steps, job, score)
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


@dataclass(frozen=True)
class _Selecting:
    """Selects one candidate of each slot."""

    drawing: Drawing
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
