"""What a model of a population trains on: samples that the models of it write for this one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collapse.families.simulator import Draw, Samples, Simulator
from collapse.regimes import counts
from collapse.seeding import Streams


class Exchange:
    """Draws the samples that arrive for one model of a population, each from the model it is of.

    Parameters
    ----------
    shares : ndarray, shape (models,)
        The part of the samples that each model writes.
    member : int
        The number of the model that trains on the samples.
    newest : sequence
        The newest model of each member of the population; the loop replaces its entries.
    simulator : Simulator
        That of the model which trains on the samples.
    streams : Streams
        Likewise.
    """

    def __init__(
        self,
        shares: NDArray[np.float64],
        member: int,
        newest: Sequence[Any],
        simulator: Simulator[Any, Any],
        streams: Streams,
    ) -> None:
        self._shares, self._member, self._newest = shares, member, newest
        self._simulator, self._streams = simulator, streams

    @property
    def has_one_author(self) -> bool:
        """Whether one model of the population writes all samples."""
        return int(np.count_nonzero(self._shares)) == 1

    def samples(self, count: int, t: int) -> Samples:
        """Return the samples that arrive at iteration t: those of one author after another."""
        parts = [
            self._simulator.sample(model, size, t - 1, Draw(start=start))
            for model, size, start in self._authors(count)
        ]
        return tuple(np.concatenate(arrays, axis=1) for arrays in zip(*parts, strict=True))

    def statistics(self, count: int, t: int) -> Any:
        """Return the statistics of the samples that arrive at iteration t."""
        parts = []
        for model, size, start in self._authors(count):
            if self._simulator.exchangeable or self.has_one_author:
                parts.append(self._simulator.sample_statistics(model, size, t - 1))
            else:  # the rows of a reused design follow each other
                drawn = self._simulator.sample(model, size, t - 1, Draw(start=start))
                parts.append(self._simulator.summarise(drawn))
        return reduce(self._simulator.merge, parts)

    def _authors(self, count: int) -> Iterator[tuple[Any, int, int]]:
        """Yield the models that write samples, how many, and the number of the first of these."""
        start = 0
        for author, size in enumerate(counts(self._shares, count, first=self._member)):
            if size:
                with self._streams.of_author(author):
                    yield self._newest[author], size, start
            start += size
