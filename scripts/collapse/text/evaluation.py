"""Metrics of a language model on real documents, and of the documents it generated."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch.nn import functional

from collapse.progress import Progress
from collapse.text import metrics
from collapse.text.metrics import Documents
from collapse.text.stored_tokens import IGNORED, Tokens, padded

#: Most tokens in a forward pass, padding included, and most logits, each of which takes 4 bytes.
BATCH_TOKENS, BATCH_LOGITS = 2**14, 2**30


def cross_entropy(
    model: Any, documents: Tokens, most: int | None = None, *, responses: bool = False
) -> float:
    """Return the mean of -log p over the tokens of documents, each on its own, including EOS.

    Parameters
    ----------
    model : torch.nn.Module
        The model, in evaluation mode on its device.
    documents : Tokens
        Documents with their BOS and EOS.
    most : int, optional
        Number of documents to evaluate, from the first on; by default all.
    responses : bool
        Whether only the tokens of responses and their EOS count.

    Returns
    -------
    float
        Nats per predicted token.
    """
    device = next(model.parameters()).device
    order = np.argsort(documents.lengths[:most], kind="stable")
    at_once = min(BATCH_TOKENS, BATCH_LOGITS // model.config.get_text_config().vocab_size)
    total, predicted, start = 0.0, 0, 0
    shown = Progress("evaluating", len(order), unit="documents")
    with shown, torch.no_grad():
        while start < len(order):
            # As many documents as fit when padded to the longest of them, which is the last.
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
            shown.count(count)
    return total / predicted


def of_samples(
    samples: pa.Table, *, training_set: Iterable[pa.Table], test: Iterable[pa.Table]
) -> dict[str, float]:
    """Return those metrics of generated documents that apply to any kind of text.

    Parameters
    ----------
    samples : pyarrow.Table
        Generated documents, with the column ``tokens``.
    training_set : iterable of pyarrow.Table
        Documents that their model was trained on.
    test : iterable of pyarrow.Table
        Real documents whose lengths are compared with those of the samples.
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
