"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """Yield a path to write to; it takes the final name only when the block succeeds.

    The partial file lies beside the final one, so that the rename is atomic, and is removed
    when the block fails. One that a killed job left behind is overwritten by the next.
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
    """Write a text file, whole."""
    with whole(path) as partial:
        partial.write_text(content, encoding="utf-8")
