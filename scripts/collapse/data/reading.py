"""Reading data from outside: whatever a library raises becomes one line that names the record."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from collapse.errors import DataError, JobError, in_one_line


class Place:
    """Where a reader is: a file or data set, and the record that it reads.

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
def reading(source: object) -> Iterator[Place]:
    """Turn whatever a library raises while it reads a source into an error of one line.

    Data from outside is damaged in ways that no list of exceptions foresees. A generator may
    yield within the context, since what its consumer raises doesn't pass through it.

    Parameters
    ----------
    source : path or str
        What is read, as errors name it.

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
        raise DataError(f"{place}: can't be read ({reason})") from None
