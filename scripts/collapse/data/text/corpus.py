"""Real documents, split into train and test: built-in stories, the Hugging Face Hub, files.

A training document that equals a test document, apart from the white space around it, is
dropped, whatever the source (`collapse.data.text.splits`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from collapse.data import hub, hub_names
from collapse.data.text import documents, splits
from collapse.data.text.splits import Generators, Stream
from collapse.errors import DataError

__all__ = ["Corpus", "Counts", "DataError", "open_corpus"]

STORIES = 20_000
TEST_STORIES = 1_000


class Counts(NamedTuple):
    """Number of documents of a corpus to train and to test on, and of those left out of both.

    ``empty`` documents have no text, and ``copies`` are copies of test documents.
    """

    train: int
    test: int
    empty: int
    copies: int


class Corpus(splits.Split[str]):
    """Real documents, split into train and test, with the parameters of `splits.Split`."""

    noun = "document"
    relation = "is also"

    @staticmethod
    def fault(item: str) -> str | None:
        """Return ``empty`` for a document of mere white space, and None for others."""
        return None if item and not item.isspace() else "empty"

    @staticmethod
    def fingerprints(item: str) -> tuple[int, int]:
        """Return the fingerprint of the whole text, since documents have no other part."""
        return splits.fingerprint(item), 0

    @property
    def counts(self) -> Counts:
        """The numbers of documents of each kind."""
        return Counts(
            train=self.sizes["train"],
            test=self.sizes["test"],
            empty=self.faults.total(),
            copies=self.sizes["withheld"],
        )


def open_corpus(
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
        Separator of the documents in a text file.
    column : str
        Column of the text in a table.
    limit, test_documents : int or None
        Largest number of training documents, and number of test documents, as in
        `splits.Split`; for stories the defaults are 20,000 and 1,000.
    generator_of : callable
        Returns a new generator at the beginning of the stream of a purpose, ``train stories``
        or ``test stories``.

    Raises
    ------
    DataError
        If the data can't be read or used; the message is one line.
    """
    test: Stream[str] | None
    if source == "stories":
        from collapse.data.text import stories

        limit = STORIES if limit is None else limit
        test_documents = TEST_STORIES if test_documents is None else test_documents
        train, test = splits.simulated(
            stories.draw,
            "stories",
            train_size=limit,
            test_size=test_documents,
            shared=str,
            generator_of=generator_of,
        )
    elif source == "tinystories" or source.startswith(hub_names.PREFIX):
        source = hub_names.NAMED.get(source, source)
        official, official_test = hub.find(source, [column])
        train = _column(official)
        test = None if official_test is None else _column(official_test)
    else:
        files, test_files = documents.find(Path(source))
        train = _files(files, separator, column)
        test = _files(test_files, separator, column) if test_files else None
    return Corpus(source, train, test, limit=limit, size=test_documents)


def _files(paths: list[Path], separator: str, column: str) -> Stream[str]:
    def stream() -> Iterator[str]:
        for path in paths:
            yield from documents.read(path, separator=separator, column=column)

    return stream


def _column(split: hub.Split) -> Stream[str]:
    return lambda: (text for _, (text,) in split)
