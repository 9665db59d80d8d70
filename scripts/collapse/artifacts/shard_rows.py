"""Reading rows of shards, which are Parquet files of samples, one row group at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from collapse.artifacts import columns as columns_from
from collapse.artifacts import remedies
from collapse.artifacts.manifest import ShardRecord


def read(
    path: Path,
    positions: NDArray[np.integer[Any]] | None,
    columns: Sequence[str],
) -> Iterator[pa.Table]:
    """Yield the rows of a shard, one row group after another.

    Parameters
    ----------
    path : Path
    positions : ndarray of int or None
        Rows to read, in ascending order; None for all. Row groups without any are skipped.
    columns : sequence of str

    Raises
    ------
    DamagedFileError
        If the file is missing, is no Parquet, or lacks a column or rows.
    UnreadableFileError
        If the system doesn't let it be read.
    ValueError
        If positions are not in order.
    """
    if positions is not None and np.any(np.diff(positions, prepend=0) < 0):
        raise ValueError(f"{path}: positions are negative or not in ascending order")
    with (
        remedies.reading(path, "can't be read as Parquet"),
        pq.ParquetFile(path, pre_buffer=False) as file,
    ):
        missing = set(columns) - set(file.schema_arrow.names)
        if missing:
            found = ", ".join(file.schema_arrow.names)
            raise remedies.damaged(path, f"no column {min(missing)!r}, found {found}")
        rows = file.metadata.num_rows
        if positions is not None and len(positions) and positions[-1] >= rows:
            raise remedies.damaged(path, f"found {rows} rows, expected over {positions[-1]}")
        start = 0
        for group in range(file.num_row_groups):
            stop = start + file.metadata.row_group(group).num_rows
            if positions is None:
                yield file.read_row_group(group, columns=list(columns))
            else:
                first, last = np.searchsorted(positions, (start, stop))
                if last > first:
                    whole = file.read_row_group(group, columns=list(columns))
                    yield whole.take(columns_from.numbers(positions[first:last] - start))
            start = stop


def columns_of(path: Path) -> list[str]:
    """Return the names of the columns of a shard; raise errors as `read` does."""
    with remedies.reading(path, "can't be read as Parquet"):
        return list(pq.read_schema(path).names)


def first(shards: Sequence[ShardRecord], most: int) -> Iterator[tuple[Path, NDArray[np.int64]]]:
    """Yield the files and rows that hold the first samples of some shards, ``most`` at most."""
    for shard in (record.shard for record in shards):
        if shard.start < most:
            yield Path(shard.path), np.arange(min(most, shard.stop) - shard.start)
