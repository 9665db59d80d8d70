"""Real documents, split into train and test: built-in stories, the Hugging Face Hub, files.

Real test data must never enter a training set, so a training document that is an exact
copy of a test document, white space around it aside, is dropped whatever the source.
Documents come as streams that can be read again, never as a whole corpus in memory.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from collapse.data import documents
from collapse.data.documents import DataError

if TYPE_CHECKING:
    import datasets

__all__ = ["Corpus", "Counts", "DataError", "corpus"]

#: Opens a stream of documents at its beginning.
Stream = Callable[[], Iterator[str]]
Generators = Callable[[str], np.random.Generator]

TINYSTORIES = "hub:roneneldan/TinyStories"
STORIES = 20_000
TEST_STORIES = 1_000
#: Of the distinct documents, this part is for testing where nothing else is said.
TEST_FRACTION = 0.05
_BATCH = 1000


class Counts(NamedTuple):
    """Documents of a corpus: used to train and to test, and dropped for two reasons.

    ``copies`` are the copies of test documents that were kept out of both splits.
    """

    train: int
    test: int
    empty: int
    copies: int


class Corpus:
    """Real documents, split into train and test.

    Parameters
    ----------
    source : str
        What errors call it.
    train : Stream
    test : Stream or None
        The official test split. Without one the distinct documents of the smallest
        fingerprints are the test set: the split follows from the content alone, not from
        its order, and copies of a text can't be on both sides.
    limit : int or None
        At most so many training documents, the first.
    test_documents : int or None
        So many test documents: the first of an official test split, by default all; else
        the number to split off, by default 5 % of the distinct documents, at least one.

    Attributes
    ----------
    counts : Counts

    Raises
    ------
    DataError
        If a split is empty, there are fewer test documents than asked for, or the source
        has any mistake: it is read once from end to end.
    """

    def __init__(
        self,
        source: str,
        train: Stream,
        test: Stream | None,
        *,
        limit: int | None,
        test_documents: int | None,
    ) -> None:
        self._train, self._test = train, test
        self._limit = limit
        found, empty = _fingerprints(train)
        if len(found) == 0:
            raise DataError(f"{source}: no training documents ({empty} empty ones)")
        if test is None:
            distinct = np.unique(found)
            self._test_documents = _size(source, len(distinct), test_documents)
            held_out = distinct[: self._test_documents]
        else:
            held_out, empty_test = _fingerprints(test)
            empty += empty_test
            self._test_documents = _official_size(source, len(held_out), test_documents)
        self._held_out = set(held_out.tolist())
        copies = int(np.isin(found, held_out).sum())
        available = len(found) - copies
        if available == 0:
            raise DataError(f"{source}: every training document is also a test document")
        self.counts = Counts(
            train=available if limit is None else min(limit, available),
            test=self._test_documents,
            empty=empty,
            copies=copies - (self._test_documents if test is None else 0),
        )

    def train(self) -> Iterator[str]:
        """Yield the training documents."""
        kept = (text for text in _full(self._train) if _fingerprint(text) not in self._held_out)
        return islice(kept, self._limit)

    def test(self) -> Iterator[str]:
        """Yield the test documents."""
        if self._test is not None:
            yield from islice(_full(self._test), self._test_documents)
            return
        remaining = set(self._held_out)
        for text in _full(self._train):
            if (fingerprint := _fingerprint(text)) in remaining:
                remaining.remove(fingerprint)
                yield text


def corpus(
    source: str,
    *,
    separator: str,
    column: str,
    limit: int | None,
    test_documents: int | None,
    generator_of: Generators,
) -> Corpus:
    """Open the documents of a source.

    Parameters
    ----------
    source : str
        ``stories``, the built-in grammar; ``tinystories``, or any ``hub:<owner>/<name>`` of
        the Hugging Face Hub; or the path of a file or directory (`documents.find`).
    separator : str
        What stands between the documents of a text file.
    column : str
        Where the text is in a table.
    limit, test_documents : int or None
        As in `Corpus`; for stories 20,000 and 1,000 by default.
    generator_of : callable
        Gives a new generator at the beginning of the stream of a purpose, ``train stories``
        or ``test stories``.

    Raises
    ------
    DataError
        In one line, if the data can't be had or used.
    """
    test: Stream | None
    if source == "stories":
        limit = STORIES if limit is None else limit
        test_documents = TEST_STORIES if test_documents is None else test_documents
        train, test = _stories(limit, test_documents, generator_of)
    elif source == "tinystories" or source.startswith("hub:"):
        source = TINYSTORIES if source == "tinystories" else source
        train, test = _hub(source, column)
    else:
        files, test_files = documents.find(Path(source))
        train = _files(files, separator, column)
        test = _files(test_files, separator, column) if test_files else None
    return Corpus(source, train, test, limit=limit, test_documents=test_documents)


def _fingerprint(text: str) -> int:
    """Return 64 bits of SHA-256: two of 2 million texts share them with odds of 1e-7."""
    return int.from_bytes(hashlib.sha256(text.strip().encode()).digest()[:8])


def _full(stream: Stream) -> Iterator[str]:
    """Yield the documents that are not mere white space."""
    return (text for text in stream() if text and not text.isspace())


def _fingerprints(stream: Stream) -> tuple[NDArray[np.uint64], int]:
    """Return the fingerprints of the documents, 8 bytes each, and the number of empty ones."""
    total = 0

    def counted() -> Iterator[str]:
        nonlocal total
        for text in stream():
            total += 1
            yield text

    found = np.fromiter(map(_fingerprint, _full(counted)), dtype=np.uint64)
    return found, total - len(found)


def _size(source: str, distinct: int, wanted: int | None) -> int:
    """Return the size of the test set to split off."""
    if distinct < 2:
        raise DataError(
            f"{source}: one distinct document; expected at least two, to train and to test"
        )
    size = max(1, round(TEST_FRACTION * distinct)) if wanted is None else wanted
    if size >= distinct:
        raise DataError(
            f"{source}: test_documents is {size}; expected less than the {distinct} distinct "
            "documents that there are"
        )
    return size


def _official_size(source: str, available: int, wanted: int | None) -> int:
    """Return the size of the test set within the official one."""
    size = available if wanted is None else wanted
    if size > available or available == 0:
        asked = "" if wanted is None else f", test_documents is {wanted}"
        raise DataError(f"{source}: {available} documents in the test split{asked}")
    return size


def _stories(limit: int, count: int, generator_of: Generators) -> tuple[Stream, Stream]:
    """Draw stories, and others in place of those that are also test stories."""
    from collapse.data import stories

    def drawn(purpose: str) -> Iterator[str]:
        # Always whole batches: a smaller corpus is the beginning of a larger one.
        generator = generator_of(purpose)
        while True:
            yield from stories.draw(_BATCH, generator)

    def test() -> Iterator[str]:
        return islice(drawn("test stories"), count)

    def train() -> Iterator[str]:
        known = set(test())
        return islice((story for story in drawn("train stories") if story not in known), limit)

    return train, test


def _files(paths: list[Path], separator: str, column: str) -> Stream:
    def stream() -> Iterator[str]:
        for path in paths:
            yield from documents.read(path, separator=separator, column=column)

    return stream


def _hub(source: str, column: str) -> tuple[Stream, Stream | None]:
    """Open a data set of the Hub, or of the cache where there is no network."""
    import datasets

    name = source.removeprefix("hub:")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise DataError(f"{source}: expected hub:<owner>/<name>")
    try:
        splits = datasets.load_dataset(name)
    # Whatever goes wrong in there, be it the network, a gate or a disk, is for the user.
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"{source}: neither on the Hub nor in its cache ({type(error).__name__}: {reason}); "
            f"run datasets.load_dataset({name!r}) once where there is a network (a login node, "
            "same HF_HOME) and set HF_HUB_OFFLINE=1 for the jobs, or point data at local files"
        ) from error
    if "train" not in splits:
        raise DataError(f"{source}: no split train; found {', '.join(splits)}")
    test = next((splits[split] for split in documents.TEST if split in splits), None)
    return (
        _column(source, splits["train"], column),
        None if test is None else _column(source, test, column),
    )


def _column(source: str, dataset: datasets.Dataset, column: str) -> Stream:
    if column not in dataset.column_names:
        documents.no_column(source, column, dataset.column_names)
    kind = getattr(dataset.features[column], "dtype", "a list or a structure")
    if kind not in ("string", "large_string"):
        raise DataError(f"{source}: expected text in {column!r}, found {kind}")
    selected = dataset.select_columns([column])

    def stream() -> Iterator[str]:
        for batch in selected.iter(batch_size=_BATCH):
            for value in batch[column]:
                yield value or ""

    return stream
