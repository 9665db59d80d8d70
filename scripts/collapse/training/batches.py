"""The rows that a rank trains on in each step, made ahead where that saves time."""

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
        What it computes.
    counted : int
        The rows whose loss counts. Those after it are computed for company (`Sharded.share`).
    weight : float
        What the loss is divided by, that of the global batch.
    """

    rows: Batch
    counted: int
    weight: float


def shares(task: Task, steps: range, layout: Layout, micro_batch: int | None) -> Generator[Share]:
    """Yield this rank's share of each step's batch.

    For a GPU the next one is made in a thread meanwhile, in memory it can copy from by
    itself. A CPU would only be kept from its work.
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
