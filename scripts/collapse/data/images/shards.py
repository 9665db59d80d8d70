"""Shards of images: Parquet files with one image a row, all of one shape.

An image is stored as the bytes of its pixels, in the order height, width, channel; the metadata
of the file hold the shape. Only real images may have labels.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from collapse.artifacts import columns, remedies, shard_rows
from collapse.artifacts.files import DamagedFileError

IMAGE, LABEL = "image", "label"
_SHAPE = b"shape"

#: Approximate number of bytes of images in a row group, and so in memory at a time.
GROUP = 1 << 22

Images = NDArray[np.uint8]
Shape = tuple[int, int, int]


def write(path: Path, images: Iterable[tuple[Images, int | None]], shape: Shape) -> int:
    """Write images and their labels as they come, and return how many there were."""
    written = 0
    size = int(np.prod(shape))
    layout = pa.schema(
        [(IMAGE, pa.binary(size)), (LABEL, pa.int32())],
        metadata={_SHAPE: ",".join(map(str, shape)).encode()},
    )
    with pq.ParquetWriter(
        path, layout, compression="zstd", use_dictionary=False, write_statistics=False
    ) as writer:
        remaining = iter(images)
        while group := list(islice(remaining, max(1, GROUP // size))):
            pixels = np.stack([image for image, _ in group])
            column = pa.FixedSizeBinaryArray.from_buffers(
                pa.binary(size), len(group), [None, pa.py_buffer(pixels)]
            )
            known = np.array([label is not None for _, label in group])
            given = np.array([label or 0 for _, label in group], dtype=np.int32)
            labels = columns.numbers(given, known)
            writer.write_table(pa.Table.from_arrays([column, labels], schema=layout))
            written += len(group)
    return written


def read(path: Path, rows: NDArray[np.integer[Any]] | None = None) -> Iterator[Images]:
    """Yield the images of a shard, some rows or all, as arrays (images, height, width, channels).

    Raises
    ------
    DamagedFileError
        If the file is no shard of images.
    """
    for table in shard_rows.read(path, rows, (IMAGE,)):
        column = table[IMAGE].combine_chunks()
        shape = _shape(path, table.schema)
        if column.type != pa.binary(int(np.prod(shape))):
            raise remedies.damaged(path, f"found {column.type}, expected images of shape {shape}")
        width = column.type.byte_width
        flat = np.frombuffer(column.buffers()[1], np.uint8)[column.offset * width :]
        yield flat[: len(column) * width].reshape(-1, *shape)


def read_labels(path: Path) -> NDArray[np.int64] | None:
    """Return the labels of a shard, or None if not all images have one."""
    labels = pa.concat_tables(shard_rows.read(path, None, (LABEL,)))[LABEL]
    return None if labels.null_count else columns.array(labels).astype(np.int64)


def _shape(path: Path, schema: pa.Schema) -> Shape:
    try:
        height, width, channels = map(int, (schema.metadata or {})[_SHAPE].split(b","))
    except (KeyError, ValueError):
        raise remedies.damaged(path, "no shape of images in its metadata") from None
    return height, width, channels


class Stored:
    """Images in one file, byte after byte, of which a few are read at a time.

    The file is mapped anew for every reading, so that a process that goes through all of a
    large set holds no more of it than what it has just read.

    Parameters
    ----------
    path : Path
        File that `store` wrote.
    shape : tuple of int
        Height, width and channels of an image.
    """

    def __init__(self, path: Path, shape: Shape) -> None:
        self._shape = shape
        self._file = open(path, "rb")  # noqa: SIM115  it stays open as long as this object
        self.length = os.path.getsize(path) // int(np.prod(shape))

    def at(self, rows: NDArray[np.integer[Any]]) -> Images:
        """Return the images at some places, in that order."""
        mapped = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        return np.frombuffer(mapped, np.uint8).reshape(-1, *self._shape)[rows]


def store(parts: Iterable[Images], path: Path) -> None:
    """Write images one after the other into one file.

    Raises
    ------
    DamagedFileError
        If the images are not of one shape.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        first: Sequence[int] | None = None
        for part in parts:
            first = first or part.shape[1:]
            if part.shape[1:] != first:
                raise DamagedFileError(
                    f"training images: found {part.shape[1:]}, expected the shape {tuple(first)}"
                )
            file.write(part.data)
