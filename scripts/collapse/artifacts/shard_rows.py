"""Reading rows of shards, which are Parquet files of samples, one row group at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from collapse.artifacts.files import DamagedFileError
from collapse.artifacts.manifest import ShardRecord
from collapse.errors import in_one_line


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
        If the file can't be read or lacks a column.
    ValueError
        If positions are not in order or not in the file.
    """
    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            missing = set(columns) - set(file.schema_arrow.names)
            if missing:
                raise DamagedFileError(
                    f"{path}: no column {min(missing)!r}; found "
                    + ", ".join(file.schema_arrow.names)
                )
            if positions is not None:
                _check_positions(path, positions, file.metadata.num_rows)
            start = 0
            for group in range(file.num_row_groups):
                stop = start + file.metadata.row_group(group).num_rows
                if positions is None:
                    yield file.read_row_group(group, columns=list(columns))
                else:
                    first, last = np.searchsorted(positions, (start, stop))
                    if last > first:
                        whole = file.read_row_group(group, columns=list(columns))
                        yield whole.take(positions[first:last] - start)
                start = stop
    except (pa.ArrowException, OSError) as error:
        raise DamagedFileError(f"{path}: can't be read as Parquet ({in_one_line(error)})") from None


def first(shards: Sequence[ShardRecord], most: int) -> Iterator[tuple[Path, NDArray[np.int64]]]:
    """Yield the files and rows that hold the first samples of some shards, ``most`` at most."""
    for shard in (record.shard for record in shards):
        if shard.start < most:
            yield Path(shard.path), np.arange(min(most, shard.stop) - shard.start)


def _check_positions(path: Path, positions: NDArray[np.integer[Any]], rows: int) -> None:
    if len(positions) and (positions[0] < 0 or positions[-1] >= rows):
        raise ValueError(
            f"{path}: positions {positions[0]} to {positions[-1]}, but the file has {rows} rows"
        )
    if np.any(positions[1:] < positions[:-1]):
        raise ValueError(f"{path}: positions are not in ascending order")
