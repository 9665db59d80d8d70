"""Records in tables: JSON lines and Parquet, read as streams, never whole."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from collapse.data.reading import Place, not_utf8, opened, reading
from collapse.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 1000
#: Bytes that are read of a Parquet file at once.
BUFFER = 1 << 20
#: Longest line in bytes; anything longer is taken for a wrong format.
LONGEST = 1 << 26


class Record(NamedTuple):
    """The text in some columns of an entry, and the place of the entry as errors name it."""

    where: str
    values: tuple[str, ...]


def no_column(where: object, column: str, found: list[str]) -> NoReturn:
    """Raise the error of a missing column."""
    columns = f"the columns {', '.join(found)}" if found else "no columns"
    raise DataError(f"{where}: found {columns}, expected {column!r}")


def json_lines(path: Path, columns: Sequence[str]) -> Iterator[Record]:
    """Yield the objects in a file of JSON lines; a null is an empty text."""
    offset = 0
    with opened(path) as (file, place):
        for number, line in enumerate(iter(lambda: file.readline(LONGEST), b""), start=1):
            place.record = f"line {number}"
            try:
                text = line.decode("utf-8" if offset else "utf-8-sig")
            except UnicodeDecodeError as error:
                raise not_utf8(path, offset, error) from None
            offset += len(line)
            if text.strip():
                where = str(place)
                found = _object(where, text)
                yield Record(where, tuple(_field(where, found, column) for column in columns))


def _object(where: str, line: str) -> dict[str, object]:
    """Return the object in a line of JSON."""
    try:
        found = json.loads(line.rstrip(), object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{where}: found {line.strip()[:40]!r}, expected one JSON object a line "
            f"({error.msg} at column {error.colno})"
        ) from None
    if not isinstance(found, dict):
        raise DataError(f"{where}: found {line.strip()[:40]!r}, expected a JSON object")
    return found


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return an object of JSON; which of two values with one name is meant can't be told."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = Counter(name for name, _ in pairs)
        raise ValueError(f"found {names.most_common(1)[0][0]!r} twice, expected each name once")
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


def parquet(path: Path, columns: Sequence[str]) -> Iterator[Record]:
    """Yield the rows of a Parquet file with columns of text; a null is an empty text."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with (
        reading(path, "can't be read as Parquet") as place,
        pq.ParquetFile(
            path, pre_buffer=False, buffer_size=BUFFER, page_checksum_verification=True
        ) as file,
    ):
        schema = file.schema_arrow
        for column in columns:
            if column not in schema.names:
                no_column(path, column, schema.names)
            kind = schema.field(column).type
            if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
                raise DataError(f"{path}: found {kind} in {column!r}, expected text")
        yield from rows(place, file.iter_batches(BATCH, columns=list(columns)), columns)


def rows(
    place: Place,
    tables: Iterable[pa.RecordBatch | pa.Table],
    columns: Sequence[str],
    within: str = "",
) -> Iterator[Record]:
    """Yield the rows of tables with columns of text; a null is an empty text.

    Values are converted one by one, so that the place is that of one which is no Unicode. Its
    row is counted from the beginning of the tables, which are ``within`` a part of the source.
    """
    number = 0
    for table in tables:
        for row in zip(*map(table.column, columns), strict=True):
            number += 1
            place.record = f"{within}row {number}"
            yield Record(str(place), tuple(value.as_py() or "" for value in row))
        place.record = f"{within}after row {number}"
