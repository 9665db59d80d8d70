"""Real prompts and responses, split into train and test: built-in questions, the Hub, files.

The split is by prompt: several responses to one prompt (HelpSteer2 has two) are all on the same
side, since a model that has learned one of them knows a part of the others. A training pair
whose prompt equals a test prompt, apart from the white space around it, is dropped, whatever
the source (`collapse.data.text.splits`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Literal, NamedTuple

from collapse.data import hub, hub_names
from collapse.data.text import dialogue, documents, splits
from collapse.data.text.dialogue import Pair, head, parse, render
from collapse.data.text.splits import Generators, Stream
from collapse.data.text.tables import Record
from collapse.errors import DataError

__all__ = ["Corpus", "Counts", "DataError", "Pair", "head", "open_corpus", "parse", "render"]

QUESTIONS = 10_000
TEST_QUESTIONS = 500

Unusable = Literal["refuse", "drop"]


class Counts(NamedTuple):
    """Number of pairs of a corpus to train and to test on, and of those left out of both.

    ``empty`` pairs lack a prompt or a response; ``ambiguous`` ones have a prompt whose end can't
    be told (`dialogue.fault`); ``withheld`` ones share the prompt of a test pair.
    """

    train: int
    test: int
    empty: int
    ambiguous: int
    withheld: int


class Corpus(splits.Split[Pair]):
    """Real pairs, split into train and test, with the parameters of `splits.Split`."""

    noun = "pair"
    relation = "has the prompt of"

    @staticmethod
    def fault(item: Pair) -> str | None:
        """Return the fault of a pair (`dialogue.fault`), or None."""
        return dialogue.fault(item)

    @staticmethod
    def fingerprints(item: Pair) -> tuple[int, int]:
        """Return the fingerprints of the prompt, which is on one side only, and the response."""
        return splits.fingerprint(item.prompt), splits.fingerprint(item.response)

    @property
    def counts(self) -> Counts:
        """The numbers of pairs of each kind."""
        return Counts(
            train=self.sizes["train"],
            test=self.sizes["test"],
            empty=self.faults["empty"],
            ambiguous=self.faults["ambiguous"],
            withheld=self.sizes["withheld"],
        )


def open_corpus(
    source: str,
    *,
    prompt_column: str,
    response_column: str,
    limit: int | None,
    test_pairs: int | None,
    unusable: Unusable,
    generator_of: Generators,
) -> Corpus:
    """Open the pairs of a source.

    Parameters
    ----------
    source : str
        ``questions``, the built-in grammar; ``helpsteer2``, or any ``hub:<owner>/<name>`` of
        the Hugging Face Hub; or the path of a file of JSON lines or Parquet or of a directory of
        them (`documents.find`).
    prompt_column, response_column : str
        Columns of the two in a table.
    limit, test_pairs : int or None
        Largest number of training pairs, and number of test pairs, as in `splits.Split`; for
        questions the defaults are 10,000 and 500.
    unusable : {"refuse", "drop"}
        Whether a pair that is empty or ambiguous is an error, or is dropped and counted.
    generator_of : callable
        Returns a new generator at the beginning of the stream of a purpose, ``train questions``
        or ``test questions``.

    Raises
    ------
    DataError
        If the data can't be read or used; the message is one line.
    """
    train: Stream[Pair]
    test: Stream[Pair] | None
    if source == "questions":
        from collapse.data.text import questions

        train, test = splits.simulated(
            questions.draw,
            "questions",
            train_size=QUESTIONS if limit is None else limit,
            test_size=TEST_QUESTIONS if test_pairs is None else test_pairs,
            shared=lambda pair: pair.prompt,
            generator_of=generator_of,
        )
        return Corpus(source, train, test, limit=limit, size=test_pairs)
    if prompt_column == response_column:
        raise DataError(
            f"{source}: found {prompt_column!r} as prompt_column and as response_column, "
            "expected two columns"
        )
    columns = [prompt_column, response_column]
    if source == "helpsteer2" or source.startswith(hub_names.PREFIX):
        source = hub_names.NAMED.get(source, source)
        official, official_test = hub.find(source, columns)
        train = _pairs(official, columns, unusable)
        test = None if official_test is None else _pairs(official_test, columns, unusable)
    else:
        files, test_files = documents.find(Path(source))
        train = _pairs(_Files(files, columns), columns, unusable)
        test = _pairs(_Files(test_files, columns), columns, unusable) if test_files else None
    return Corpus(source, train, test, limit=limit, size=test_pairs)


class _Files:
    """The records of several files, which every iteration reads from the beginning."""

    def __init__(self, paths: Sequence[Path], columns: Sequence[str]) -> None:
        self._paths, self._columns = paths, columns

    def __iter__(self) -> Iterator[Record]:
        return chain.from_iterable(documents.records(path, self._columns) for path in self._paths)


def _pairs(records: Iterable[Record], columns: Sequence[str], unusable: Unusable) -> Stream[Pair]:
    def stream() -> Iterator[Pair]:
        for where, (prompt, response) in records:
            pair = Pair(prompt, response)
            if unusable == "refuse" and (fault := dialogue.fault(pair)) is not None:
                raise DataError(_complaint(where, pair, fault, columns))
            yield pair

    return stream


def _complaint(where: str, pair: Pair, fault: str, columns: Sequence[str]) -> str:
    prompt_column, response_column = columns
    if fault == "ambiguous":
        found = f"found {dialogue.DELIMITER!r}, which ends a prompt, in {prompt_column!r}"
        return f"{where}: {found}, expected none (unusable: drop leaves the pair out)"
    column = response_column if pair.prompt.strip() else prompt_column
    return f"{where}: found nothing in {column!r}, expected text (unusable: drop leaves it out)"
