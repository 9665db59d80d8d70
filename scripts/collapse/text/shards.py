"""What is read of shards of text: the documents selected to train on, and samples to judge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from collapse.artifacts import shard_rows
from collapse.artifacts.manifest import ShardRecord
from collapse.artifacts.training_sets import Selection
from collapse.data.text import tokens


def selected(
    selections: Sequence[Selection], columns: Sequence[str] = ("tokens", "ended")
) -> Iterator[pa.Table]:
    """Yield the documents of a training set, part by part."""
    for selection in selections:
        yield from tokens.read(Path(str(selection.path)), selection.rows, columns)


def first(shards: Sequence[ShardRecord], most: int) -> pa.Table:
    """Return the first samples of some shards."""
    found = shard_rows.first(shards, most)
    return pa.concat_tables(part for path, rows in found for part in tokens.read(path, rows))


def acceptance_rate(shards: Sequence[ShardRecord]) -> float:
    """Return the samples of some shards over those drawn for them."""
    return _written(shards) / sum(int(record.details["drawn"]) for record in shards)


def truncated_share(shards: Sequence[ShardRecord]) -> float:
    """Return the samples of some shards that the model did not end, over all of them."""
    return sum(int(record.details["truncated"]) for record in shards) / _written(shards)


def _written(shards: Sequence[ShardRecord]) -> int:
    return sum(record.shard.stop - record.shard.start for record in shards)
