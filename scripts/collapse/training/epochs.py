"""The samples of each update: every epoch goes through the training set in an order of its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Part = TypeVar("Part", covariant=True)


class Order(Protocol[Part]):
    """The samples of an epoch in order: an array, or an object that is indexed like one."""

    def __len__(self) -> int: ...

    def __getitem__(self, places: NDArray[np.int64], /) -> Part: ...


class Epochs(Generic[Part]):
    """The samples of each update, as a function of the number of the update alone.

    Parameters
    ----------
    batch : int
        Number of samples in a batch; if there are fewer samples, a batch has all of them.
    order_of : callable
        Returns the order of an epoch, counted from 0. The last result is cached.
    filled : bool
        Whether the first samples of an epoch fill up its last batch to the size of the others.

    Attributes
    ----------
    size : int
        Number of samples in a batch.
    steps_per_epoch : int
        Number of batches in the first epoch, and so in every epoch, however long its order is.
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
        """Return the samples of an update, counted from 0."""
        epoch, within = divmod(step, self.steps_per_epoch)
        order = self._order_of(epoch)
        places = within * self.size + np.arange(self.size)
        return order[places % len(order) if self._filled else places[places < len(order)]]
