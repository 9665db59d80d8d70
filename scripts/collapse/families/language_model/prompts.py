"""Prompts: the first tokens of real training documents, which samples continue."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from collapse.artifacts import columns, manifest
from collapse.artifacts.paths import DATASET
from collapse.artifacts.step import Step
from collapse.data.text import tokens
from collapse.errors import JobError
from collapse.families.text import TRAIN


class Prompts(NamedTuple):
    """The prompt of each slot, and the numbers of documents that have one and that are too short.

    Attributes
    ----------
    of_slots : dict of int to list of int
        Tokens without BOS.
    documents, short : int
        Numbers of training documents that are longer than a prompt, and of the others.
    """

    of_slots: dict[int, list[int]]
    documents: int
    short: int


def read(data: Path, step: Step, slots: Sequence[int], length: int) -> Prompts:
    """Return the first ``length`` tokens of a real training document for each slot.

    Slot i has document i of those that are longer, in the order in which this seed sees the real
    data, and begins anew after the last. Shorter ones leave nothing to continue.

    Raises
    ------
    JobError
        If no training document is longer, or the file of them is damaged.
    """
    manifest.verify(manifest.read_dataset(data / DATASET).train)
    lengths = np.concatenate(
        [
            columns.array(table["tokens"].combine_chunks().value_lengths())
            for table in tokens.read(data / TRAIN, columns=("tokens",))
        ]
    )
    order = step.order_of_real_data(len(lengths))
    longer = order[lengths[order] > length]
    if not len(longer):
        raise JobError(
            f"{data}: prompt_tokens is {length}, expected fewer than the {lengths.max()} tokens of "
            "the longest training document"
        )
    given = rows_of_slots(data, longer, slots, ("tokens",))
    of_slots = {slot: row["tokens"][:length] for slot, row in given.items()}
    return Prompts(of_slots, len(longer), len(lengths) - len(longer))


def rows_of_slots(
    data: Path, order: NDArray[np.int64], slots: Sequence[int], columns: Sequence[str]
) -> dict[int, dict[str, Any]]:
    """Return a row of the real training data for each slot.

    Slot i has row i of those in an order, which begins anew after the last.
    """
    rows = order[np.asarray(slots) % len(order)]
    wanted = np.unique(rows)
    read = tokens.read(data / TRAIN, wanted, columns)
    found = [row for table in read for row in table.to_pylist()]
    places = np.searchsorted(wanted, rows)
    return {slot: found[place] for slot, place in zip(slots, places, strict=True)}
