"""Data sets of the Hugging Face Hub, or of its cache if there is no network."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from collapse.data import listing
from collapse.data.hub_names import PREFIX
from collapse.data.reading import reading
from collapse.data.text import tables
from collapse.data.text.tables import Record
from collapse.errors import DataError, in_one_line

if TYPE_CHECKING:
    import datasets


class Split:
    """The records of one split, which every iteration reads from the beginning."""

    def __init__(
        self, source: str, name: str, dataset: datasets.Dataset, columns: Sequence[str]
    ) -> None:
        for column in columns:
            if column not in dataset.column_names:
                tables.no_column(source, column, dataset.column_names)
            kind = getattr(dataset.features[column], "dtype", "a list or a structure")
            if kind not in ("string", "large_string"):
                raise DataError(f"{source}: found {kind} in {column!r}, expected text")
        self._source, self._within = source, f"split {name}, "
        self._columns = columns
        self._selected = dataset.select_columns(list(dict.fromkeys(columns)))

    def __iter__(self) -> Iterator[Record]:
        with reading(self._source) as place:
            batches = self._selected.with_format("arrow").iter(batch_size=tables.BATCH)
            yield from tables.rows(place, batches, self._columns, self._within)


def find(source: str, columns: Sequence[str]) -> tuple[Split, Split | None]:
    """Open the train and the test split of a data set; the latter is None if there is none.

    Parameters
    ----------
    source : str
        ``hub:<owner>/<name>``.
    columns : sequence of str
        Columns of text; a null is an empty text.

    Raises
    ------
    DataError
        If the data set can't be loaded, has no train split or lacks a column.
    """
    splits = load(source)
    test = next((name for name in listing.TEST_NAMES if name in splits), None)
    return (
        Split(source, "train", splits["train"], columns),
        None if test is None else Split(source, test, splits[test], columns),
    )


def load(source: str) -> Any:
    """Load the splits of a data set, among them ``train``.

    Returns
    -------
    datasets.DatasetDict

    Raises
    ------
    DataError
        If the data set can't be loaded (the message says what helps) or has no train split.
    """
    import datasets

    name = source.removeprefix(PREFIX)
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise DataError(f"{source}: expected hub:<owner>/<name>")
    try:
        splits = datasets.load_dataset(name)
    # Any failure in there, be it of the network, a permission or a disk, is told to the user.
    except Exception as error:
        raise DataError(
            f"{missing(source, error)}; run datasets.load_dataset({name!r}) once where there is a "
            "network (a login node, same HF_HOME) and set HF_HUB_OFFLINE=1 for the jobs, or point "
            "data at local files"
        ) from error
    if "train" not in splits:
        raise DataError(f"{source}: found the splits {', '.join(splits)}, expected train")
    return splits


def missing(source: str, error: Exception) -> str:
    """Return the message that a source is neither on the Hub nor in its cache, and why."""
    reason = f"{type(error).__name__}: {in_one_line(error)}"
    return f"{source}: neither on the Hub nor in its cache ({reason})"
