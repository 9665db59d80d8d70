"""Documents and records in files: text, JSON lines or Parquet, one file or several shards.

Files are read as streams, never whole, so a corpus may be larger than memory. Only the format
is interpreted here: empty documents are yielded, too, and `collapse.data.text.splits` drops them.
"""

from __future__ import annotations

import codecs
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple, NoReturn, cast

from collapse.artifacts import remedies
from collapse.data import listing
from collapse.errors import DataError, in_one_line

CHUNK = 1 << 20
BATCH = 1000
#: Longest document in bytes or characters; anything longer is taken for a wrong format.
LONGEST = 1 << 26

SUFFIXES = (".txt", ".jsonl", ".json", ".parquet")
#: Those that may be compressed.
GZIPPED = SUFFIXES[:-1]


class Record(NamedTuple):
    """The text in some columns of an entry, and the place of the entry as errors name it."""

    where: str
    values: tuple[str, ...]


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
        Separator of the documents in a text file; white space around it is dropped.
    column : str
        Column of the text in JSON lines and Parquet; a null is an empty document.

    Raises
    ------
    DataError
        If the file is damaged or not what its name says.
    """
    kind = _kind(path)
    if kind == ".txt":
        return _separated(path, separator)
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
    return _parquet(path, columns) if kind == ".parquet" else _json_lines(path, columns)


def no_column(where: object, column: str, found: list[str]) -> NoReturn:
    """Raise the error of a missing column."""
    columns = f"the columns {', '.join(found)}" if found else "no columns"
    raise DataError(f"{where}: found {columns}, expected {column!r}")


def _kind(path: Path) -> str:
    kind = listing.kind(path, SUFFIXES, GZIPPED)
    if kind is None:
        raise DataError(
            f"{path}: found an unknown kind of file, expected one of {', '.join(SUFFIXES)}, "
            "text and JSON maybe with .gz"
        )
    return kind


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        opened = gzip.open if path.suffix == listing.GZIP else open
        with opened(path, "rb") as file:
            yield cast(IO[bytes], file)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        found = f"damaged or truncated gzip file ({error})"
        raise DataError(f"{path}: {found}; {remedies.remedy(path)}") from None


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
    with _opened(path) as file:
        while True:
            chunk = file.read(CHUNK)
            undecoded = len(decoder.getstate()[0])
            try:
                text = newlines.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                raise _not_utf8(path, offset - undecoded, error) from None
            if (null := chunk.find(b"\0")) >= 0:
                raise DataError(f"{path}: found a NUL at byte {offset + null}, expected plain text")
            yield text if offset else text.removeprefix("\ufeff")
            offset += len(chunk)
            if not chunk:
                return


def _not_utf8(path: Path, offset: int, error: UnicodeDecodeError) -> DataError:
    return DataError(f"{path}: not UTF-8 at byte {offset + error.start} ({error.reason})")


def _json_lines(path: Path, columns: Sequence[str]) -> Iterator[Record]:
    offset = 0
    with _opened(path) as file:
        for number, line in enumerate(iter(lambda: file.readline(LONGEST), b""), start=1):
            try:
                text = line.decode("utf-8" if offset else "utf-8-sig")
            except UnicodeDecodeError as error:
                raise _not_utf8(path, offset, error) from None
            offset += len(line)
            if text.strip():
                where = f"{path}: line {number}"
                found = _object(where, text)
                yield Record(where, tuple(_field(where, found, column) for column in columns))


def _object(where: str, line: str) -> dict[str, object]:
    """Return the object in a line of JSON."""
    try:
        found = json.loads(line.rstrip())
    except json.JSONDecodeError as error:
        raise DataError(
            f"{where}: found {line.strip()[:40]!r}, expected one JSON object a line "
            f"({error.msg} at column {error.colno})"
        ) from None
    if not isinstance(found, dict):
        raise DataError(f"{where}: found {line.strip()[:40]!r}, expected a JSON object")
    return found


def _field(where: str, found: dict[str, object], column: str) -> str:
    """Return the text in a column of an object."""
    if column not in found:
        no_column(where, column, list(found))
    value = found[column]
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DataError(f"{where}: found {str(value)[:40]!r} in {column!r}, expected text")
    # JSON can contain half of a surrogate pair, which no encoding of text can write.
    try:
        value.encode()
    except UnicodeEncodeError as error:
        surrogate = value[error.start : error.end]
        raise DataError(f"{where}: not Unicode, found the lone surrogate {surrogate!a}") from None
    return value


def _parquet(path: Path, columns: Sequence[str]) -> Iterator[Record]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=CHUNK) as file:
            schema = file.schema_arrow
            for column in columns:
                if column not in schema.names:
                    no_column(path, column, schema.names)
                kind = schema.field(column).type
                if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
                    raise DataError(f"{path}: found {kind} in {column!r}, expected text")
            number = 0
            for batch in file.iter_batches(BATCH, columns=list(columns)):
                values = (batch.column(column).to_pylist() for column in columns)
                for row in zip(*values, strict=True):
                    number += 1
                    yield Record(f"{path}: row {number}", tuple(value or "" for value in row))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: can't be read as Parquet ({in_one_line(error)})") from None
