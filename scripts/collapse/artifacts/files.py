"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from collapse.errors import JobError


class DamagedFileError(JobError):
    """A file that is missing, truncated, altered, or not what its name says."""


class UnreadableFileError(JobError):
    """A file that the system doesn't let be read now, and whose contents may be sound."""


@contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """Yield a path to write to; it takes the final name only when the block succeeds.

    The partial file lies beside the final one, so that the rename is atomic, and is removed
    when the block fails. A partial file that a killed job left is overwritten by the next job.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    partial = final.with_name(f".{final.name}.partial")
    try:
        yield partial
        with open(partial, "rb+") as written:
            os.fsync(written.fileno())
        os.replace(partial, final)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: str | Path, content: str) -> None:
    """Write a text file that appears whole or not at all."""
    with whole(path) as partial:
        partial.write_text(content, encoding="utf-8")


@contextmanager
def whole_directory(path: str | Path) -> Iterator[Path]:
    """Yield a directory to write into; it takes the final name only when the block succeeds.

    An existing directory of that name is replaced.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    partial = final.with_name(f".{final.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
        for written in partial.rglob("*"):
            if written.is_file():
                with open(written, "rb+") as content:
                    os.fsync(content.fileno())
        shutil.rmtree(final, ignore_errors=True)
        os.replace(partial, final)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def remove_directory(path: str | Path) -> None:
    """Remove a directory with all its contents, if it exists."""
    shutil.rmtree(path, ignore_errors=True)


def parquet_rows(path: str | Path) -> int:
    """Return the number of rows of a Parquet file."""
    import pyarrow.parquet as parquet

    return int(parquet.read_metadata(path).num_rows)
