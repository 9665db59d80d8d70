"""The first samples of each iteration, as a table that people read (P1 Table 1)."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from collapse.artifacts import files, shard_rows

#: Number of samples of each shard in the table.
SHOWN_SAMPLES = 3


def write(shards: Sequence[tuple[tuple[str, str, int], str]], *, table: Path) -> None:
    """Write a table of the first samples of each shard, with its point, regime and iteration.

    All texts are in quotes: without, some versions of Python end a row at a carriage return in one.
    """
    import pandas as pd

    rows = []
    for (point, regime, iteration), path in shards:
        group = next(shard_rows.read(Path(path), None, ["text"]))
        for text in group["text"].slice(0, SHOWN_SAMPLES).to_pylist():
            rows.append({"point": point, "regime": regime, "iteration": iteration, "text": text})
    with files.whole(table) as partial:
        pd.DataFrame(rows).to_csv(partial, index=False, quoting=csv.QUOTE_NONNUMERIC)
