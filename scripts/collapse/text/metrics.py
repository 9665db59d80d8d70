"""Metrics of a set of generated texts: repetition, copying, lengths and modes.

They are pure functions of token identifiers, vectorised over all tokens of a set. Documents and
n-grams are compared by 64-bit digests: each position and token give a pseudorandom number, and
a digest is the sum of these numbers. Two given documents that differ share a digest with a
probability of about 2**-64, hence any two of N with about N**2 / 2**65: 3e-6 for ten million.

Metrics that depend on the number of documents take a ``number``, and are their expected value for
a subset of so many documents (`collapse.rarefaction`); None is all documents.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from collapse import rarefaction

Integers = NDArray[np.integer]
Digests = NDArray[np.uint64]

# Number of tokens whose digests are in memory at once; documents are never split.
_BLOCK = 2**20


class Documents(NamedTuple):
    """Documents end to end: their token identifiers, from 0 to 2**32 - 1, and their lengths."""

    tokens: Integers
    lengths: Integers


def distinct(documents: Documents, n: int, number: int | None = None) -> float:
    """Return the share of different n-grams among all, distinct-n (Li et al. 2016).

    It is the ratio of their expected numbers in a subset. n-grams lie within documents; the result
    is nan if there are none. It falls as a set of documents grows, and as documents get longer.
    """
    grams, owners = _ngrams(documents, n)
    if not len(grams):
        return np.nan
    count = len(documents.lengths)
    number = count if number is None else number
    _, _, held = _recurring(grams, owners)
    different = (1 - rarefaction.absent(held, count, number)).sum()
    return float(min(1.0, different / (len(grams) * number / count)))  # but for rounding, below 1


def self_overlap(documents: Documents, n: int = 4, number: int | None = None) -> float:
    """Return the mean over documents of the share of n-grams that another document has, too.

    n-grams that recur in their own document alone do not count. Documents of fewer than n tokens
    are left out; the result is nan if there are no others.

    Like self-BLEU (Zhu et al. 2018) it grows as samples become alike, but it takes one sort
    instead of a comparison of all pairs, has one n, and neither clips counts nor penalises
    length. It grows with the number of documents.
    """
    grams, owners = _ngrams(documents, n)
    if not len(grams):
        return np.nan
    others = len(documents.lengths) - 1
    drawn = others if number is None else number - 1
    order, sizes, held = _recurring(grams, owners)
    elsewhere = np.repeat(1 - rarefaction.absent(held - 1, others, drawn), sizes)
    counts = np.bincount(owners)
    shares = np.bincount(owners[order], weights=elsewhere)[counts > 0] / counts[counts > 0]
    return float(shares.mean())


def _recurring(grams: Digests, owners: Integers) -> tuple[Integers, Integers, Integers]:
    """Group equal n-grams: their order, each group's size, and how many documents it is in."""
    order = np.argsort(grams, kind="stable")  # owners ascend within a group of equal n-grams
    grams, owners = grams[order], owners[order]
    new = np.append(True, grams[1:] != grams[:-1])
    first = np.flatnonzero(new)
    of_another = new | np.append(True, owners[1:] != owners[:-1])
    return order, np.diff(np.append(first, len(grams))), np.add.reduceat(of_another * 1, first)


def digests(documents: Documents) -> Digests:
    """Return a 64-bit digest of each document.

    A document's digest depends on its tokens alone, so a training set may be digested shard by
    shard. This takes memory for the result and a block of tokens or the longest document.
    """
    out = np.empty(len(documents.lengths), dtype=np.uint64)
    for block, part in _blocks(documents):
        ends = np.cumsum(part.lengths)
        positions = np.arange(len(part.tokens)) - np.repeat(ends - part.lengths, part.lengths)
        # Sums wrap around, and so do their differences: both are modulo 2**64.
        sums = np.cumsum(np.append(np.uint64(0), _mix(positions, part.tokens)), dtype=np.uint64)
        out[block] = sums[ends] - sums[ends - part.lengths]
    return out


def duplicate_rate(documents: Documents, number: int | None = None) -> float:
    """Return the share of documents that are copies of others but the first; nan without any.

    It grows with the number of documents.
    """
    count = len(documents.lengths)
    if not count:
        return np.nan
    number = count if number is None else number
    _, copies = np.unique(digests(documents), return_counts=True)
    different = (1 - rarefaction.absent(copies, count, number)).sum()
    return float(max(0.0, 1 - different / number))  # rounding may make it negative


def copied_share(
    documents: Documents, digests_of_training_set: Digests, *forms: Documents
) -> float:
    """Return the share of documents that are in the training set; nan without documents.

    Those count as well of which another form is in there: the same documents with a prompt, say.
    """
    if not len(documents.lengths):
        return np.nan
    every = [np.isin(digests(each), digests_of_training_set) for each in (documents, *forms)]
    return float(np.any(every, axis=0).mean())


def mean_length(documents: Documents) -> float:
    """Return the mean number of tokens of a document; nan without documents."""
    return float(documents.lengths.mean()) if len(documents.lengths) else np.nan


def length_distance(documents: Documents, reference: Documents, number: int | None = None) -> float:
    """Return the 1-Wasserstein distance between two distributions of length, in tokens.

    It is computed exactly, as the integral of the absolute difference of the distribution
    functions, and is nan if either set is empty. `scipy.stats.wasserstein_distance` gives the
    same up to rounding, but takes longer to import than most evaluations of text take. It falls
    as the number of documents grows, if both distributions are the same.
    """
    if not (len(documents.lengths) and len(reference.lengths)):
        return np.nan
    steps, ours, theirs = _lengths(documents, reference)
    chosen = rarefaction.subsets(ours, int(ours.sum()) if number is None else number)
    return _mean_distance(chosen, theirs, steps)


def length_distance_of_truth(reference: Documents, number: int) -> float:
    """Return the `length_distance` that so many new documents of the reference's source have.

    Drawing them from the reference instead lacks the noise of the reference itself. Both noises
    fall as the root of a number of documents, and so add up to a factor.
    """
    if not len(reference.lengths):
        return np.nan
    steps, theirs, _ = _lengths(reference, reference)
    drawn = rarefaction.samples_of(theirs / theirs.sum(), number)
    return _mean_distance(drawn, theirs, steps) * float(np.sqrt(1 + number / theirs.sum()))


def _lengths(documents: Documents, reference: Documents) -> tuple[Integers, Integers, Integers]:
    """Return all lengths that occur, and how often each occurs in either set."""
    count = len(documents.lengths)
    steps, places = np.unique(
        np.concatenate((documents.lengths, reference.lengths)), return_inverse=True
    )
    ours, theirs = (
        np.bincount(some, minlength=len(steps)) for some in (places[:count], places[count:])
    )
    return steps, ours, theirs


def _mean_distance(chosen: Integers, theirs: Integers, steps: Integers) -> float:
    up_to = np.cumsum(chosen, axis=1)[:, :-1] / chosen[0].sum()
    theirs_up_to = np.cumsum(theirs)[:-1] / theirs.sum()
    return float((np.abs(up_to - theirs_up_to) @ np.diff(steps)).mean())


def mode_coverage(modes: ArrayLike, count_of_modes: int, number: int | None = None) -> float:
    """Return the share of modes that occur in samples; negative modes (no mode) are left out.

    It grows with the number of samples that have a mode, of which a subset is taken.
    """
    counts = _counts(modes, count_of_modes)
    total = int(counts.sum())
    missing = rarefaction.absent(counts, total, total if number is None else number)
    return float(1 - missing.mean())


def mode_distance(modes: ArrayLike, probabilities: ArrayLike, number: int | None = None) -> float:
    """Return the total variation distance of the samples' frequencies of modes from the truth.

    Samples of a negative mode (no mode) are left out; the result is nan if there are no others.
    It falls as the number of samples that have a mode grows, of which a subset is taken.
    """
    truth = np.asarray(probabilities, dtype=np.float64)
    counts = _counts(modes, len(truth))
    if not counts.any():
        return np.nan
    return _variation(rarefaction.subsets(counts, number or int(counts.sum())), truth)


def compared_modes(found: ArrayLike, probabilities: ArrayLike) -> dict[str, float]:
    """Return coverage and distance of the modes of samples, and those of samples of the truth.

    Both are for as many samples, at most `rarefaction.NUMBER` of those that have a mode.
    """
    truth = np.asarray(probabilities, dtype=np.float64)
    number = rarefaction.equal_number(int(_counts(found, len(truth)).sum()))
    drawn = rarefaction.samples_of(truth, number)
    return {
        "mode_coverage": mode_coverage(found, len(truth), number),
        "mode_coverage_of_data": float(1 - ((1 - truth) ** number).mean()),
        "mode_distance": mode_distance(found, truth, number),
        "mode_distance_of_data": _variation(drawn, truth) if number else np.nan,
    }


def _variation(counts: Integers, truth: NDArray[np.float64]) -> float:
    """Return the mean total variation distance of some counts, by row, from a distribution."""
    shares = counts / counts[0].sum()
    return float((np.abs(shares - truth).sum(axis=1) / 2).mean())


def _counts(modes: ArrayLike, count_of_modes: int) -> Integers:
    found = np.asarray(modes, dtype=np.int64)
    counts = np.bincount(found[found >= 0], minlength=count_of_modes)
    if len(counts) > count_of_modes:
        raise ValueError(f"found mode {len(counts) - 1}, expected at most {count_of_modes - 1}")
    return counts


def _ngrams(documents: Documents, n: int) -> tuple[Digests, Integers]:
    """Return the digest of each n-gram within a document, and the number of its document."""
    if n < 1:
        raise ValueError(f"found n-grams of {n} tokens, expected at least 1")
    tokens, lengths = _checked(documents)
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(tokens))
    starts = np.flatnonzero(left >= n)
    grams = np.zeros(len(starts), dtype=np.uint64)
    for offset in range(n):
        grams += _mix(np.array([offset]), tokens[starts + offset])
    return grams, np.repeat(np.arange(len(lengths)), np.maximum(lengths - n + 1, 0))


def _blocks(documents: Documents) -> Iterator[tuple[slice, Documents]]:
    """Yield successive documents of at most ``_BLOCK`` tokens together, or one that is longer."""
    tokens, lengths = _checked(documents)
    ends = np.append(0, np.cumsum(lengths))
    first = 0
    while first < len(lengths):
        last = int(np.searchsorted(ends, ends[first] + _BLOCK, side="right")) - 1
        last = max(last, first + 1)
        part = Documents(tokens[ends[first] : ends[last]], lengths[first:last])
        yield slice(first, last), part
        first = last


def _checked(documents: Documents) -> Documents:
    if documents.lengths.sum() != len(documents.tokens):
        raise ValueError(
            f"found {len(documents.tokens)} tokens, expected {documents.lengths.sum()}, "
            "the sum of the lengths"
        )
    return documents


def _mix(positions: Integers, tokens: Integers) -> Digests:
    """Map each position and token to a number that looks random (SplitMix64; Steele et al. 2014).

    The map is one to one, so that it makes no two digests equal by itself.
    """
    state = (positions.astype(np.uint64) << np.uint64(32)) ^ tokens.astype(np.uint64)
    state += np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
