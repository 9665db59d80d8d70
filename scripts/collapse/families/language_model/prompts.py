"""Prompts: the first tokens of real training documents, which samples continue."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

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
    rows = longer[np.asarray(slots) % len(longer)]
    wanted = np.unique(rows)
    found = [
        row[:length]
        for table in tokens.read(data / TRAIN, wanted, ("tokens",))
        for row in table["tokens"].to_pylist()
    ]
    places = np.searchsorted(wanted, rows)
    of_slots = {slot: found[place] for slot, place in zip(slots, places, strict=True)}
    return Prompts(of_slots, len(longer), len(lengths) - len(longer))
