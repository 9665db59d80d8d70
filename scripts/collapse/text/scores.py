"""Scores of generated texts of any kind, by which a regime selects or weighs them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from collapse.data.text import tokens
from collapse.data.text.tokenizing import OWN, Special
from collapse.text.prompted import Following, documents_of

Array = NDArray[np.float64]


def of_texts(samples: Path, score: Callable[[str], float]) -> Array:
    """Return the score of the text of each sample in a shard."""
    texts = (text for table in tokens.read(samples, None, ("text",)) for text in table["text"])
    return np.array([score(text.as_py()) for text in texts], dtype=np.float64)


def of_any_text(
    name: str,
    samples: Path,
    model: Path,
    special: Special = OWN,
    precision: str = "float32",
    prompted: Following | None = None,
) -> Array:
    """Return a score that samples of every corpus have.

    Parameters
    ----------
    name : {"length", "log_likelihood"}
        The number of tokens of a sample, or the mean log-probability of its tokens, its EOS
        included, under its model.
    samples, model : path
        The shard, and the checkpoint of the model that wrote it.
    special : Special
        Ids of the special tokens.
    precision : str
        Precision of the weights of the model.
    prompted : Prompted, Answered or None
        How samples follow prompts of real tokens, given which the others have a probability.
    """
    read = ("tokens", "ended") if prompted is None else prompted.columns
    tables = list(tokens.read(samples, None, read))
    if name == "length":
        measured = documents_of if prompted is None else prompted.measured
        return measured(pa.concat_tables(tables)).lengths.astype(np.float64)
    import torch

    from collapse.text import checkpoints, evaluation, stored_tokens

    network = checkpoints.load(model, getattr(torch, precision))
    if prompted is not None:
        tables = [prompted.whole(table) for table in tables]
    held = stored_tokens.in_memory(tables, special)
    return -evaluation.cross_entropies(network, held, responses=prompted is not None)
