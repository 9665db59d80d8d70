"""Metrics of generated texts against plain Python, at their edges, and on many documents."""

import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from collapse.text import metrics
from collapse.text.metrics import Documents

# Few tokens and short documents, so that n-grams and whole documents recur.
SETS = st.lists(st.lists(st.integers(0, 2), max_size=6), max_size=8)
N = st.integers(1, 5)


def documents_of(lists):
    """Return lists of tokens as documents end to end."""
    tokens = [token for document in lists for token in document]
    return Documents(np.array(tokens, np.int64), np.array([*map(len, lists)], np.int64))


EMPTY = documents_of([])


def grams_of(document, n):
    return [tuple(document[i : i + n]) for i in range(len(document) - n + 1)]


def plain_distinct(documents, n):
    grams = [gram for document in documents for gram in grams_of(document, n)]
    return len(set(grams)) / len(grams) if grams else np.nan


def plain_self_overlap(documents, n):
    grams = [grams_of(document, n) for document in documents]
    documents_with = Counter(gram for found in grams for gram in set(found))
    shares = [np.mean([documents_with[g] > 1 for g in found]) for found in grams if found]
    return np.mean(shares) if shares else np.nan


def plain_duplicate_rate(documents):
    copies = [document in documents[:i] for i, document in enumerate(documents)]
    return np.mean(copies) if copies else np.nan


@given(SETS, N)
def test_repetition_is_that_of_plain_python(lists, n):
    documents = documents_of(lists)
    found = [metrics.distinct(documents, n), metrics.self_overlap(documents, n)]
    plain = [plain_distinct(lists, n), plain_self_overlap(lists, n)]
    assert found == pytest.approx(plain, nan_ok=True)
    duplicates = plain_duplicate_rate(lists)
    assert metrics.duplicate_rate(documents) == pytest.approx(duplicates, nan_ok=True)


@given(SETS, SETS)
def test_copies_and_lengths_are_those_of_plain_python(lists, others):
    documents, reference = documents_of(lists), documents_of(others)
    copied = metrics.copied_share(documents, metrics.digests(reference))
    distance = metrics.length_distance(documents, reference)
    lengths, their_lengths = ([len(document) for document in found] for found in (lists, others))
    if lists:
        assert copied == np.mean([document in others for document in lists])
        assert metrics.mean_length(documents) == pytest.approx(np.mean(lengths))
    if lists and others:
        assert distance == pytest.approx(wasserstein_distance(lengths, their_lengths))
        assert metrics.length_distance(reference, documents) == pytest.approx(distance)
    else:
        assert np.isnan(distance)


@given(SETS, st.integers(1, 12))
def test_digests_do_not_depend_on_blocks_or_on_neighbours(lists, block):
    whole = metrics.digests(documents_of(lists))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "_BLOCK", block)
        np.testing.assert_array_equal(metrics.digests(documents_of(lists)), whole)
    alone = [metrics.digests(documents_of([document]))[0] for document in lists]
    np.testing.assert_array_equal(np.array(alone, dtype=np.uint64), whole)


def test_digests_of_documents_that_nearly_agree_differ():
    """Documents differ in order, in length, in a token 0 at an end, or in a high identifier."""
    documents = [[], [0], [0, 0], [0, 0, 0], [1, 2], [2, 1], [1, 2, 0], [0, 1, 2], [2**32 - 1]]
    pairs = [[a, b] for a in range(300) for b in range(300)]
    found = metrics.digests(documents_of(documents + pairs))
    # [0, 0], [1, 2] and [2, 1] are among the pairs too.
    assert len(np.unique(found)) == len(documents) + len(pairs) - 3


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.uint32, np.int64])
def test_the_type_of_the_tokens_does_not_matter(dtype):
    lists = [[5, 6, 7, 5, 6], [], [5, 6, 7, 8], [65535]]
    documents = documents_of(lists)
    typed = Documents(documents.tokens.astype(dtype), documents.lengths.astype(np.int32))
    np.testing.assert_array_equal(metrics.digests(typed), metrics.digests(documents))
    for n in range(1, 6):
        expected = metrics.self_overlap(documents, n)
        assert metrics.self_overlap(typed, n) == pytest.approx(expected, nan_ok=True)


def test_an_empty_set_has_no_metrics():
    assert EMPTY.tokens.size == EMPTY.lengths.size == 0
    assert len(metrics.digests(EMPTY)) == 0
    for value in (
        metrics.distinct(EMPTY, 2),
        metrics.self_overlap(EMPTY),
        metrics.duplicate_rate(EMPTY),
        metrics.copied_share(EMPTY, metrics.digests(documents_of([[1]]))),
        metrics.mean_length(EMPTY),
    ):
        assert np.isnan(value)


def test_documents_that_are_too_short_have_no_ngrams():
    short = documents_of([[1, 2], [], [3]])
    assert np.isnan(metrics.distinct(short, 3)) and np.isnan(metrics.self_overlap(short, 3))
    # Beside longer ones they do not count, and n-grams do not cross from one to the next.
    documents = documents_of([[1, 2, 3], [1, 2], [], [3], [1, 2, 3]])
    assert metrics.self_overlap(documents, 3) == 1
    assert metrics.distinct(documents, 3) == 0.5


@pytest.mark.parametrize("copies", [2, 3, 10])
def test_copies_of_one_document(copies):
    documents = documents_of([[4, 8, 15, 16, 23, 42]] * copies)
    assert metrics.duplicate_rate(documents) == pytest.approx((copies - 1) / copies)
    assert metrics.self_overlap(documents) == 1
    assert metrics.distinct(documents, 2) == pytest.approx(1 / copies)


def test_what_recurs_in_its_own_document_alone_is_no_overlap():
    assert metrics.self_overlap(documents_of([[1, 1, 1, 1, 1, 1], [2, 3, 4, 5]])) == 0


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="found 3 tokens, expected 2"):
        metrics.digests(Documents(np.arange(3), np.array([1, 1])))
    with pytest.raises(ValueError, match="expected at least 1"):
        metrics.distinct(EMPTY, 0)
    with pytest.raises(ValueError, match="found mode 4, expected at most 3"):
        metrics.mode_coverage([0, 4], 4)


def test_modes():
    modes = np.array([0, 0, 2, -1, 0])
    assert metrics.mode_coverage(modes, 4) == 0.5
    assert metrics.mode_distance(modes, [0.75, 0.0, 0.25, 0.0]) == 0
    assert metrics.mode_distance(modes, [0.0, 0.5, 0.0, 0.5]) == 1
    assert metrics.mode_distance(modes, [0.25] * 4) == pytest.approx(0.5)
    for none in ([], [-1, -1]):
        assert metrics.mode_coverage(none, 4) == 0
        assert np.isnan(metrics.mode_distance(none, [0.25] * 4))


def test_distance_of_modes_of_samples_of_the_truth_is_the_noise_stated():
    truth = np.arange(1, 25) ** -1.0
    truth /= truth.sum()
    generator = np.random.default_rng(0)
    distances = np.array(
        [metrics.mode_distance(generator.choice(24, size=2000, p=truth), truth) for _ in range(200)]
    )
    noise = np.sqrt(truth * (1 - truth) / (2 * np.pi * 2000)).sum()
    assert abs(distances.mean() - noise) < 5 * distances.std() / np.sqrt(200) + 0.01 * noise


def test_a_hundred_thousand_documents_take_seconds():
    generator = np.random.default_rng(0)
    lengths = generator.integers(20, 60, size=100_000)
    documents = Documents(generator.integers(300, size=lengths.sum()), lengths)
    start = time.perf_counter()
    training_set = metrics.digests(documents)
    assert metrics.copied_share(documents, training_set) == 1
    assert metrics.duplicate_rate(documents) == 0
    assert 0 < metrics.distinct(documents, 2) < 0.1
    assert 0 < metrics.self_overlap(documents) < 0.01
    assert time.perf_counter() - start < 30
