"""Metrics of a language model on real documents, and of the documents it wrote."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch.nn import functional

from collapse.text import metrics
from collapse.text.metrics import Documents
from collapse.text.stored_tokens import IGNORED, Tokens, padded

#: Tokens, padding included, that are evaluated at once, and the logits, 4 bytes each: a large
#: vocabulary takes fewer tokens.
BATCH_TOKENS, BATCH_LOGITS = 2**14, 2**30


def cross_entropy(
    model: Any, documents: Tokens, most: int | None = None, *, responses: bool = False
) -> float:
    """Return the mean over tokens of -log p, each document on its own; EOS is predicted, too.

    Parameters
    ----------
    model : torch.nn.Module
        On its device, in evaluation mode.
    documents : Tokens
        With their BOS and EOS.
    most : int, optional
        The first so many documents.
    responses : bool
        Of the tokens of responses alone, and their EOS.

    Returns
    -------
    float
        Nats per predicted token.
    """
    device = next(model.parameters()).device
    order = np.argsort(documents.lengths[:most], kind="stable")
    at_once = min(BATCH_TOKENS, BATCH_LOGITS // model.config.vocab_size)
    total, predicted, start = 0.0, 0, 0
    with torch.no_grad():
        while start < len(order):
            # As many as fit when padded to the longest of them, which is the last.
            padded_to = documents.lengths[order[start:]] * np.arange(1, len(order) - start + 1)
            count = max(1, int(np.searchsorted(padded_to, at_once, side="right")))
            rows = padded(documents, order[start : start + count], responses=responses)
            labels = rows["labels"].to(device)
            logits = model(input_ids=rows["input_ids"].to(device), use_cache=False).logits
            loss = functional.cross_entropy(
                logits.flatten(0, 1).float(),
                labels.flatten(),
                ignore_index=IGNORED,
                reduction="none",
            )
            total += float(loss.double().sum())
            predicted += int((labels != IGNORED).sum())
            start += count
    return total / predicted


def of_samples(
    samples: pa.Table, *, training_set: Iterable[pa.Table], test: Iterable[pa.Table]
) -> dict[str, float]:
    """Return the metrics of generated documents that need no knowledge of what they say.

    Parameters
    ----------
    samples : pyarrow.Table
        With the column ``tokens``.
    training_set : iterable of pyarrow.Table
        What their model was trained on.
    test : iterable of pyarrow.Table
        Real documents to compare lengths with.
    """
    documents = _documents(samples)
    reference = _documents(pa.concat_tables(test))
    digests = [metrics.digests(_documents(part)) for part in training_set]
    trained_on = np.unique(np.concatenate([np.empty(0, np.uint64), *digests]))
    return {
        "distinct_1": metrics.distinct(documents, 1),
        "distinct_2": metrics.distinct(documents, 2),
        "distinct_3": metrics.distinct(documents, 3),
        "duplicate_rate": metrics.duplicate_rate(documents),
        "copied_share": metrics.copied_share(documents, trained_on),
        "self_overlap": metrics.self_overlap(documents),
        "mean_length": metrics.mean_length(documents),
        "length_distance": metrics.length_distance(documents, reference),
    }


def _documents(table: pa.Table) -> Documents:
    column = table["tokens"].combine_chunks()
    return Documents(
        np.asarray(column.flatten()), np.asarray(column.value_lengths(), dtype=np.int64)
    )
