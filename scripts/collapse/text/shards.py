"""Reading shards of text: the documents selected for training, and samples for evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from collapse.artifacts import shard_rows
from collapse.artifacts.manifest import ShardRecord
from collapse.artifacts.training_sets import Selection
from collapse.data.text import tokens
from collapse.text import evaluation
from collapse.text.prompted import Following
from collapse.text.stored_tokens import WEIGHT


def selected(
    selections: Sequence[Selection], columns: Sequence[str] = ("tokens", "ended")
) -> Iterator[pa.Table]:
    """Yield the documents of a training set, one selection after the other.

    If any have weights, all tables have the column `stored_tokens.WEIGHT`.
    """
    weighed = any(selection.weights is not None for selection in selections)
    for selection in selections:
        start = 0
        for table in tokens.read(Path(str(selection.path)), selection.rows, columns):
            stop = start + len(table)
            if weighed:
                given = selection.weights
                weights = np.ones(len(table)) if given is None else given[start:stop]
                table = table.append_column(WEIGHT, pa.array(weights))
            yield table
            start = stop


def first(
    shards: Sequence[ShardRecord], most: int, columns: Sequence[str] = tokens.COLUMNS
) -> pa.Table:
    """Return the first ``most`` samples of some shards."""
    found = shard_rows.first(shards, most)
    return pa.concat_tables(
        part for path, rows in found for part in tokens.read(path, rows, columns)
    )


def metrics(
    samples: pa.Table,
    shards: Sequence[ShardRecord],
    selections: Sequence[Selection],
    test: Path,
    log_probability: Callable[[str], float] | None = None,
    prompted: Following | None = None,
) -> dict[str, float]:
    """Return those metrics of samples that apply to any kind of text.

    Parameters
    ----------
    samples : pyarrow.Table
        The first samples of the shards.
    shards : sequence of ShardRecord
        Records of the shards, which say how many samples were drawn and truncated.
    selections : sequence of Selection
        The training set of the model that wrote the samples.
    test : path
        Shard of real documents with which the samples are compared.
    log_probability : callable or None
        Returns the logarithm of a text's probability, of a source where it is known.
    prompted : Prompted, Answered or None
        How samples follow prompts of real tokens (`evaluation.of_samples`).
    """
    columns = ("tokens",) if log_probability is None else ("tokens", "text")
    real_columns = ("tokens",) if prompted is None else prompted.real_columns
    written = sum(record.shard.stop - record.shard.start for record in shards)
    return {
        **evaluation.of_samples(
            samples,
            training_set=selected(selections, columns),
            test=tokens.read(test, columns=real_columns),
            log_probability=log_probability,
            prompted=prompted,
        ),
        "acceptance_rate": written / sum(int(record.details["drawn"]) for record in shards),
        "truncated_share": sum(int(record.details["truncated"]) for record in shards) / written,
    }
