"""Metrics of a language model on real test documents, and of its samples."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch.nn import functional

from collapse import text_metrics
from collapse.data import stories, tokens
from collapse.families.language_model import models
from collapse.families.language_model.packing import IGNORED, Tokens, in_memory, padded
from collapse.text_metrics import Documents

#: Tokens, padding included, that are evaluated at once.
BATCH_TOKENS = 16_384


def of_model(model: Path, test: Iterable[pa.Table]) -> dict[str, float]:
    """Return cross-entropy, in nats per token, and perplexity of a checkpoint."""
    found = cross_entropy(models.load(model), in_memory(test))
    return {"test_cross_entropy": found, "perplexity": float(np.exp(found))}


def cross_entropy(model: Any, documents: Tokens, most: int | None = None) -> float:
    """Return the mean over tokens of -log p, each document on its own; EOS is predicted, too.

    Parameters
    ----------
    model : torch.nn.Module
        On its device, in evaluation mode.
    documents : Tokens
        With their BOS and EOS.
    most : int, optional
        The first so many documents.

    Returns
    -------
    float
        Nats per predicted token.
    """
    device = next(model.parameters()).device
    order = np.argsort(documents.lengths[:most], kind="stable")
    total, predicted, start = 0.0, 0, 0
    with torch.no_grad():
        while start < len(order):
            # As many as fit when padded to the longest of them, which is the last.
            padded_to = documents.lengths[order[start:]] * np.arange(1, len(order) - start + 1)
            count = max(1, int(np.searchsorted(padded_to, BATCH_TOKENS, side="right")))
            rows = padded(documents, order[start : start + count])
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
    shards: Iterable[Path],
    *,
    most: int,
    training_set: Iterable[pa.Table],
    test: Path,
    grammar: bool,
) -> dict[str, float]:
    """Return the metrics of generated documents.

    Parameters
    ----------
    shards : iterable of path
        Parquet files of samples.
    most : int
        The first so many samples.
    training_set : iterable of pyarrow.Table
        What their model was trained on.
    test : path
        Real documents to compare lengths with.
    grammar : bool
        Whether real documents are stories of the built-in grammar.
    """
    table = pa.concat_tables(part for path in shards for part in tokens.read(path)).slice(0, most)
    samples = _documents(table)
    reference = _documents(pa.concat_tables(tokens.read(test, columns=("tokens",))))
    trained_on = np.unique(
        np.concatenate([text_metrics.digests(_documents(part)) for part in training_set])
    )
    metrics = {
        "distinct_1": text_metrics.distinct(samples, 1),
        "distinct_2": text_metrics.distinct(samples, 2),
        "distinct_3": text_metrics.distinct(samples, 3),
        "duplicate_rate": text_metrics.duplicate_rate(samples),
        "copied_share": text_metrics.copied_share(samples, trained_on),
        "self_overlap": text_metrics.self_overlap(samples),
        "mean_length": text_metrics.mean_length(samples),
        "length_distance": text_metrics.length_distance(samples, reference),
        "truncated_share": 1 - float(np.mean(table["ended"].to_numpy())),
    }
    if grammar:
        parsed = [stories.parse(text) for text in table["text"].to_pylist()]
        modes = np.array([story.mode for story in parsed if story is not None], dtype=np.int64)
        metrics["grammatical_share"] = len(modes) / len(parsed)
        metrics["mode_coverage"] = text_metrics.mode_coverage(modes, stories.MODES)
        metrics["mode_distance"] = text_metrics.mode_distance(modes, stories.mode_probabilities())
    return metrics


def _documents(table: pa.Table) -> Documents:
    column = table["tokens"].combine_chunks()
    return Documents(
        np.asarray(column.flatten()), np.asarray(column.value_lengths(), dtype=np.int64)
    )
