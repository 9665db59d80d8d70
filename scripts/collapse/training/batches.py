"""Each rank's rows of every training batch; for a GPU they are prepared one batch ahead."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from collapse.training.sharding import Layout
from collapse.training.task import Batch, Task


class Share(NamedTuple):
    """A rank's part of a global batch.

    Attributes
    ----------
    rows : Batch
        The rows that this rank computes.
    counted : int
        Number of rows, from the first on, whose loss counts. Any further row is computed only
        because all ranks must do as many passes (`Sharded.share`).
    weight : float
        Weight of the global batch, by which the loss is divided (`Task.weight`).
    """

    rows: Batch
    counted: int
    weight: float


def shares(task: Task, steps: range, layout: Layout, micro_batch: int | None) -> Generator[Share]:
    """Yield this rank's share of the batch of each update.

    For a GPU the next share is made in a thread during the update, in pinned memory, which can
    be copied asynchronously. On a CPU such a thread would only slow the update down.
    """
    device = layout.ranks.device.type

    def make(step: int) -> Share:
        batch = task.batch(step)
        rows, counted = layout.share(batch, micro_batch)
        if device == "cuda":
            rows = {
                name: values if values.is_cuda else values.contiguous().pin_memory()
                for name, values in rows.items()
            }
        return Share(rows, counted, task.weight(batch))

    if device == "cpu":
        yield from map(make, steps)
        return
    with ThreadPoolExecutor(1) as background:
        coming = [background.submit(make, step) for step in steps[:1]]
        for step in steps:
            share = coming.pop().result()
            if step + 1 in steps:
                coming.append(background.submit(make, step + 1))
            yield share
