"""Columns of tables hold what pyarrow's own conversions would, and come back as arrays."""

import numpy as np
import pyarrow as pa
import pytest

from collapse.artifacts import columns

VALUES = {
    "floats": np.array([0.5, -np.inf, 1e-300]),
    "every other": np.arange(10, dtype=np.int32)[::2],
    "unsigned": np.array([0, 65535], dtype=np.uint16),
    "truth values": np.arange(19) % 3 == 0,
    "none": np.empty(0, dtype=np.int64),
    "no truth values": np.empty(0, dtype=bool),
}


@pytest.mark.parametrize("name", VALUES)
def test_numbers(name):
    values = VALUES[name]
    column = columns.numbers(values)
    assert column.equals(pa.array(values))
    column.validate(full=True)
    for some in (slice(0, None), slice(1, None), slice(2, 2)):
        part = pa.chunked_array([column[some]])
        np.testing.assert_array_equal(columns.array(part), values[some], strict=True)


def test_numbers_that_are_not_known():
    values, known = np.arange(9), np.arange(9) % 4 != 1
    expected = pa.array(
        [int(each) if one else None for each, one in zip(values, known, strict=True)]
    )
    assert columns.numbers(values, known).equals(expected)
    assert columns.numbers(values, known).null_count == 2


@pytest.mark.parametrize("texts", [["", "a", "say 😀 你好\n", "\0"], [""], []])
def test_strings(texts):
    column = columns.strings(texts)
    column.validate(full=True)
    assert column.equals(pa.array(texts, pa.string()))
    assert list(columns.array(pa.chunked_array([column, column]))) == texts * 2


def test_lists():
    bounds, values = np.array([0, 2, 2, 5]), np.arange(5.0)
    expected = pa.array([[0.0, 1.0], [], [2.0, 3.0, 4.0]])
    assert columns.lists(bounds, values).equals(expected)
