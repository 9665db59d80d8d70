"""The order of an epoch: every epoch goes through the training set in an order of its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Part = TypeVar("Part", covariant=True)


class Order(Protocol[Part]):
    """The samples of an epoch in their order: an array, or what is indexed by places as one is."""

    def __len__(self) -> int: ...

    def __getitem__(self, places: NDArray[np.int64], /) -> Part: ...


class Epochs(Generic[Part]):
    """The samples of each training step, as a function of the step alone.

    Parameters
    ----------
    batch : int
        Samples of a batch, or all of them if there are fewer.
    order_of : callable
        Returns the order of an epoch (from 0). The last one is remembered.
    filled : bool
        Fill up the last batch of an epoch with its first samples, so that all are of one size.

    Attributes
    ----------
    size : int
        Samples of a batch.
    steps_per_epoch : int
        Batches of the first epoch, and of every other one, whatever the length of its order.
    """

    def __init__(
        self, batch: int, order_of: Callable[[int], Order[Part]], *, filled: bool = True
    ) -> None:
        self._order_of = lru_cache(maxsize=1)(order_of)
        self._filled = filled
        samples = len(self._order_of(0))
        self.size = min(batch, samples)
        self.steps_per_epoch = -(-samples // batch)

    def batch(self, step: int) -> Part:
        """Return the samples of a step (from 0)."""
        epoch, within = divmod(step, self.steps_per_epoch)
        order = self._order_of(epoch)
        places = within * self.size + np.arange(self.size)
        return order[places % len(order) if self._filled else places[places < len(order)]]
