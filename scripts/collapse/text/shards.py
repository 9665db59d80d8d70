"""What is read of shards of text: the documents selected to train on, and samples to judge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from collapse.artifacts import shard_rows
from collapse.artifacts.manifest import ShardRecord
from collapse.artifacts.training_sets import Selection
from collapse.data.text import tokens
from collapse.text import evaluation


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


def metrics(
    samples: pa.Table,
    shards: Sequence[ShardRecord],
    selections: Sequence[Selection],
    test: Path,
) -> dict[str, float]:
    """Return the metrics of samples that need no knowledge of what they say.

    Parameters
    ----------
    samples : pyarrow.Table
        The first samples of the shards.
    shards : sequence of ShardRecord
    selections : sequence of Selection
        What their model was trained on.
    test : path
        Real documents to compare lengths with.
    """
    written = sum(record.shard.stop - record.shard.start for record in shards)
    return {
        **evaluation.of_samples(samples, training_set=selected(selections), test=tokens.read(test)),
        "acceptance_rate": written / sum(int(record.details["drawn"]) for record in shards),
        "truncated_share": sum(int(record.details["truncated"]) for record in shards) / written,
    }
