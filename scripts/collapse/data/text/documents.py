"""Documents and records in files: text, JSON lines or Parquet, one file or several shards.

Files are read as streams, never whole, so a corpus may be larger than memory. Only the format
is interpreted here: empty documents are yielded, too, and `collapse.data.text.splits` drops them.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from collapse.data import listing
from collapse.data.reading import not_utf8, opened
from collapse.data.text import tables
from collapse.data.text.tables import Record
from collapse.errors import DataError

CHUNK = 1 << 20
#: Longest document in characters; anything longer is taken for a wrong format.
LONGEST = 1 << 26

SUFFIXES = (".txt", ".jsonl", ".json", ".parquet")
#: Those that may be compressed.
GZIPPED = SUFFIXES[:-1]


def find(path: Path) -> tuple[list[Path], list[Path]]:
    """Return the files of the train and of the test split; a single file has no test split.

    Parameters
    ----------
    path : Path
        A file, or a directory of files such as ``train.txt``, ``validation.jsonl.gz`` or
        ``train-00000-of-00004.parquet`` (`collapse.data.listing`).

    Raises
    ------
    DataError
        If the path is missing, of an unknown kind, or incomplete.
    """
    path = path.expanduser()
    if path.is_file():
        _kind(path)
        return [path], []
    if not path.is_dir():
        raise DataError(f"{path}: no such file or directory")
    return listing.find(path, SUFFIXES, gzipped=GZIPPED)


def read(path: Path, *, separator: str, column: str) -> Iterator[str]:
    """Yield the documents of a file, in its order.

    Parameters
    ----------
    path : Path
        A ``.txt``, ``.jsonl`` or ``.json`` file (one object a line), any of them with or without
        ``.gz``, or a ``.parquet`` file.
    separator : str
        Separator of the documents in a text file; white space around it is dropped. The line
        ends of all systems are one character, in it as in the file.
    column : str
        Column of the text in JSON lines and Parquet; a null is an empty document.

    Raises
    ------
    DataError
        If the file is damaged or not what its name says.
    """
    kind = _kind(path)
    if kind == ".txt":
        return _separated(path, re.sub("\r\n?", "\n", separator))
    return (text for _, (text,) in records(path, [column]))


def records(path: Path, columns: Sequence[str]) -> Iterator[Record]:
    """Yield the entries of a file of JSON lines or Parquet, in its order.

    Parameters
    ----------
    path : Path
        A ``.jsonl`` or ``.json`` file (one object a line), with or without ``.gz``, or a
        ``.parquet`` file.
    columns : sequence of str
        Columns of text; a null is an empty text.

    Raises
    ------
    DataError
        If the file is damaged, not what its name says, or lacks a column.
    """
    kind = _kind(path)
    if kind == ".txt":
        raise DataError(
            f"{path}: found a text file without columns, expected .jsonl, .json or .parquet "
            f"with {', '.join(map(repr, columns))}"
        )
    read_records = tables.parquet if kind == ".parquet" else tables.json_lines
    return read_records(path, columns)


def _kind(path: Path) -> str:
    kind = listing.kind(path, SUFFIXES, GZIPPED)
    if kind is None:
        raise DataError(
            f"{path}: found an unknown kind of file, expected one of {', '.join(SUFFIXES)}, "
            "text and JSON maybe with .gz"
        )
    return kind


def _separated(path: Path, separator: str) -> Iterator[str]:
    rest = ""
    separated = False
    for text in _decoded(path):
        *complete, rest = (rest + text).split(separator)
        separated = separated or bool(complete)
        for document in complete:
            yield document.strip()
        if len(rest) > LONGEST:
            raise DataError(
                f"{path}: found no separator {separator!r} within {LONGEST:,} characters, "
                "expected documents separated by it"
            )
    if rest.strip():
        if not separated:
            raise DataError(
                f"{path}: found no separator {separator!r}, so it is one single document, "
                "expected several separated by it"
            )
        yield rest.strip()


def _decoded(path: Path) -> Iterator[str]:
    """Yield a text file in chunks, in which the line ends of all systems are one character."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    newlines = io.IncrementalNewlineDecoder(decoder, translate=True)
    offset = 0
    with opened(path) as (file, _):
        while True:
            chunk = file.read(CHUNK)
            undecoded = len(decoder.getstate()[0])
            try:
                text = newlines.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                raise not_utf8(path, offset - undecoded, error) from None
            if (null := chunk.find(b"\0")) >= 0:
                raise DataError(f"{path}: found a NUL at byte {offset + null}, expected plain text")
            yield text if offset else text.removeprefix("\ufeff")
            offset += len(chunk)
            if not chunk:
                return
