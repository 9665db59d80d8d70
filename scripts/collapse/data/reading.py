"""Reading data from outside: whatever a library raises becomes one line that names the record."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from collapse.artifacts import remedies
from collapse.errors import DataError, JobError, in_one_line


class Place:
    """The place of a reader: a file or data set, and the record that it reads.

    Attributes
    ----------
    record : str
        The record as errors name it, such as ``row 7``; empty before the first one.
    """

    def __init__(self, source: object) -> None:
        self._source = source
        self.record = ""

    def __str__(self) -> str:
        return f"{self._source}: {self.record}" if self.record else str(self._source)


@contextmanager
def reading(source: object, what: str = "can't be read") -> Iterator[Place]:
    """Turn whatever a library raises while it reads a source into an error of one line.

    Data from outside is damaged in ways that no list of exceptions foresees. A generator may
    yield within the context, since what its consumer raises doesn't pass through it.

    Parameters
    ----------
    source : path or str
        What is read, as errors name it.
    what : str
        What the message says, before the error in parentheses.

    Yields
    ------
    Place
        The reader notes in it which record it reads.

    Raises
    ------
    DataError
        In place of any other exception but a `JobError`, which says already what is wrong, and
        a `MemoryError`.
    """
    place = Place(source)
    try:
        yield place
    except (JobError, MemoryError):
        raise
    except Exception as error:
        reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {in_one_line(error)}"
        raise DataError(f"{place}: {what} ({reason})") from None


@contextmanager
def opened(path: Path) -> Iterator[tuple[IO[bytes], Place]]:
    """Open a file for a reader, which notes the record that it reads."""
    open_file = gzip.open if path.suffix == ".gz" else open
    with reading(path) as place:
        try:
            with open_file(path, "rb") as file:
                yield cast(IO[bytes], file), place
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            found = f"damaged or truncated gzip file ({error})"
            raise DataError(f"{path}: {found}; {remedies.remedy(path)}") from None


def not_utf8(path: Path, offset: int, error: UnicodeDecodeError) -> DataError:
    """Return the error of bytes that are no UTF-8, read from an offset on."""
    return DataError(f"{path}: not UTF-8 at byte {offset + error.start} ({error.reason})")
