"""Prompts of real training pairs, which the model answers anew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from collapse.artifacts import columns, manifest
from collapse.artifacts.paths import DATASET
from collapse.artifacts.step import Step
from collapse.data.text import pairs, tokenizing, tokens
from collapse.errors import JobError
from collapse.families.fine_tuning.parameters import Parameters
from collapse.families.language_model.prompts import rows_of_slots
from collapse.families.text import TOKENIZER, TRAIN


class Prompt(NamedTuple):
    """The text of a pair up to its response, and the tokens that a sample begins with, but BOS."""

    head: str = ""
    tokens: Sequence[int] = ()


class Prompts(NamedTuple):
    """The prompt of each slot, and the numbers of pairs that lend theirs and that don't.

    Attributes
    ----------
    of_slots : dict of int to Prompt
    pairs, long : int
        Numbers of training pairs whose prompt is short enough, and of the others.
    """

    of_slots: dict[int, Prompt]
    pairs: int
    long: int


def read(data: Path, step: Step, slots: Sequence[int], parameters: Parameters) -> Prompts:
    r"""Return the prompt of a real training pair for each slot.

    Slot i has pair i in the order in which this seed sees the real data, and begins anew after the
    last. Pairs whose prompt has more than ``prompt_tokens`` tokens, those of ``user:`` and
    ``assistant:`` included, are passed over.

    A sample begins with the tokens of ``user: {prompt}\nassistant:`` alone, for whether the space
    after it has a token of its own depends on the real response. Only if the loss counts no token
    before responses it begins with all of the real pair's own, because the model has not learned
    whether such a space comes next.

    Raises
    ------
    JobError
        If no prompt is short enough, or the file of training pairs is damaged.
    """
    manifest.verify(manifest.read_dataset(data / DATASET).train)
    heads = np.concatenate(
        [
            columns.array(table[tokens.HEAD])
            for table in tokens.read(data / TRAIN, columns=(tokens.HEAD,))
        ]
    )
    order, most = step.order_of_real_data(len(heads)), parameters.prompt_tokens
    lent = order if most is None else order[heads[order] <= most]
    if not len(lent):
        raise JobError(
            f"{data}: prompt_tokens is {most}, expected at least the {heads.min()} tokens of the "
            "shortest prompt"
        )
    given = rows_of_slots(data, lent, slots, ("tokens", "text", tokens.HEAD))
    texts = [row["text"][: pairs.head(row["text"])] for row in given.values()]
    begun = [row["tokens"][: row[tokens.HEAD]] for row in given.values()]
    if parameters.loss != "response":
        bare = [head.removesuffix(" ") for head in texts]
        encoded = tokenizing.encode_all(tokenizing.load(data / TOKENIZER), bare, None)
        begun = [one.ids for one in encoded]
    of_slots = dict(zip(given, map(Prompt, texts, begun), strict=True))
    return Prompts(of_slots, len(lent), len(heads) - len(lent))
