"""Columns of tables from numpy arrays and lists of strings, and back.

They are made of buffers: where pandas is installed, pyarrow's own conversions import it, which
takes a third of a second of every job.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def numbers(values: NDArray[Any], known: NDArray[np.bool_] | None = None) -> pa.Array:
    """Return a column of an array's numbers or truth values, without those that are not known."""
    held = _bits(values) if values.dtype == bool else pa.py_buffer(np.ascontiguousarray(values))
    valid = None if known is None else _bits(known)
    kind = pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(kind, len(values), [valid, held])


def _bits(values: NDArray[np.bool_]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(values, bitorder="little"))


def strings(texts: Sequence[str]) -> pa.Array:
    """Return a column of strings."""
    encoded = [text.encode() for text in texts]
    bounds = np.cumsum([0, *map(len, encoded)])
    if bounds[-1] > np.iinfo(np.int32).max:
        raise OverflowError("a column of strings holds 2 GiB at most")
    buffers = [None, pa.py_buffer(bounds.astype(np.int32)), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.string(), len(texts), buffers)


def lists(bounds: NDArray[np.integer[Any]], values: NDArray[Any]) -> pa.ListArray:
    """Return a column of lists, which lie between bounds in an array of their numbers."""
    return pa.ListArray.from_arrays(numbers(bounds.astype(np.int32)), numbers(values))


def array(column: pa.Array | pa.ChunkedArray) -> NDArray[Any]:
    """Return a column of numbers, truth values or strings, none of them missing, as an array."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_string(whole.type):
        return np.array(whole.to_pylist(), dtype=object)
    rows = slice(whole.offset, whole.offset + len(whole))
    held = whole.buffers()[1] or b""
    if pa.types.is_boolean(whole.type):
        bits = np.unpackbits(np.frombuffer(held, np.uint8), count=rows.stop, bitorder="little")
        return bits[rows].astype(bool)
    return np.frombuffer(held, whole.type.to_pandas_dtype())[rows]
