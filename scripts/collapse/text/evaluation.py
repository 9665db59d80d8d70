"""Metrics of a language model on real documents, and of the documents it generated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch.nn import functional

from collapse import rarefaction
from collapse.progress import Progress
from collapse.text import metrics
from collapse.text.metrics import Documents
from collapse.text.prompted import Following, Parts, documents_of
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
    total, predicted = 0.0, 0
    for _, losses, counted in _losses(model, documents, most, responses=responses):
        total += float(losses.double().sum())
        predicted += int(counted.sum())
    return total / predicted


def cross_entropies(
    model: Any, documents: Tokens, *, responses: bool = False
) -> NDArray[np.float64]:
    """Return the mean of -log p over the tokens of each document on its own, including EOS.

    With ``responses``, only tokens after the heads of documents count.
    """
    found = np.empty(len(documents.lengths))
    for chosen, losses, counted in _losses(model, documents, None, responses=responses):
        means = losses.double().sum(dim=1) / counted.sum(dim=1)
        found[chosen] = means.cpu().numpy()
    return found


def _losses(
    model: Any, documents: Tokens, most: int | None, *, responses: bool = False
) -> Iterator[tuple[NDArray[np.int64], torch.Tensor, torch.Tensor]]:
    """Yield numbers of documents, -log p of each of their tokens, and which tokens count."""
    device = next(model.parameters()).device
    order = np.argsort(documents.lengths[:most], kind="stable")
    at_once = min(BATCH_TOKENS, BATCH_LOGITS // model.config.get_text_config().vocab_size)
    start = 0
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
            yield order[start : start + count], loss.view_as(labels), labels != IGNORED
            start += count
            shown.count(count)


def cross_entropy_of_truth(
    documents: Tokens, texts: Iterable[str], log_probability: Callable[[str], float]
) -> float:
    """Return the `cross_entropy` that the distribution the documents are drawn from has on them.

    It scatters about the entropy of the distribution, for the documents are finitely many.
    """
    predicted = documents.lengths.sum() - len(documents.lengths)
    return float(-sum(map(log_probability, texts)) / predicted)


def of_samples(
    samples: pa.Table,
    *,
    training_set: Iterable[pa.Table],
    test: Iterable[pa.Table],
    log_probability: Callable[[str], float] | None = None,
    prompted: Following | None = None,
) -> dict[str, float]:
    """Return those metrics of generated documents that apply to any kind of text.

    Metrics that depend on the number of documents are those of a subset of
    `rarefaction.NUMBER`, or of as many as there are; ``..._of_data`` is what real documents of this
    number score.

    Parameters
    ----------
    samples : pyarrow.Table
        Generated documents, with the column ``tokens``.
    training_set : iterable of pyarrow.Table
        Documents that their model was trained on, with their ``text`` if a probability is given.
    test : iterable of pyarrow.Table
        Real documents with which the samples are compared.
    log_probability : callable or None
        Returns the logarithm of a text's probability, of a source where it is known.
    prompted : Prompted, Answered or None
        How samples follow prompts of real tokens. No prompt counts as the model's own text:
        repetition is that of what follows the prompts, beside what follows as many tokens of
        real documents. A sample is a copy if the training set has it in any of its forms.
    """
    trained_on, copied_by_chance = _known(training_set, log_probability)
    real_table = pa.concat_tables(test)
    if prompted is None:
        own, real_own = documents_of(samples), documents_of(real_table)
        parts = Parts(own, real_own, own, real_own, (own,))
    else:
        parts = prompted.parts(samples, real_table)
        copied_by_chance = np.nan
    own, real_own, measured, real, (form, *others) = parts
    number = rarefaction.equal_number(len(own.lengths), len(real_own.lengths) or len(own.lengths))
    return {
        **_repetition(own, number),
        "copied_share": metrics.copied_share(form, trained_on, *others),
        "mean_length": metrics.mean_length(measured),
        "length_distance": metrics.length_distance(measured, real, number),
        **{f"{name}_of_data": value for name, value in _repetition(real_own, number).items()},
        "copied_share_of_data": copied_by_chance,
        "mean_length_of_data": metrics.mean_length(real),
        "length_distance_of_data": metrics.length_distance_of_truth(real, number),
    }


def _repetition(documents: Documents, number: int) -> dict[str, float]:
    return {
        "distinct_1": metrics.distinct(documents, 1, number),
        "distinct_2": metrics.distinct(documents, 2, number),
        "distinct_3": metrics.distinct(documents, 3, number),
        "duplicate_rate": metrics.duplicate_rate(documents, number),
        "self_overlap": metrics.self_overlap(documents, number=number),
    }


def _known(
    training_set: Iterable[pa.Table], log_probability: Callable[[str], float] | None
) -> tuple[metrics.Digests, float]:
    """Return the digests of a training set, and the probability of all its documents together.

    This probability is the share of new real documents that would be copies of it.
    """
    digests, probabilities = [np.empty(0, np.uint64)], [np.empty(0)]
    for part in training_set:
        digests.append(metrics.digests(documents_of(part)))
        if log_probability is not None:
            logarithms = [log_probability(text) for text in part["text"].to_pylist()]
            probabilities.append(np.exp(logarithms))
    trained_on, first = np.unique(np.concatenate(digests), return_index=True)
    if log_probability is None:
        return trained_on, np.nan
    return trained_on, float(np.concatenate(probabilities)[first].sum())
