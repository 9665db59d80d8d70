"""The task that a family gives the training loop, and the learning curve that it gets back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

#: Tensors by name, whose first axis holds the rows of a batch.
Batch = Mapping[str, Tensor]


class Task(Protocol):
    """A model to train, with its batches and its loss."""

    @property
    def model(self) -> torch.nn.Module:
        """The model, which is trained in place.

        On all ranks but the first it may be on the meta device, since weights and buffers are
        copied from the first rank.
        """

    @property
    def unit(self) -> str:
        """What `weight` counts, in the plural, such as tokens."""

    def batch(self, step: int) -> Batch:
        """Return the global batch of an update, counted from 0, of all ranks together.

        It must depend on the number of the update alone, or resuming would not be exact. For
        GPUs it is called in a thread, one update ahead, so it must not draw from torch's global
        generators.
        """

    def weight(self, batch: Batch) -> float:
        """Return the divisor of a global batch's loss, such as its number of predicted tokens."""

    def loss(self, model: torch.nn.Module, rows: Batch) -> Tensor:
        """Return the sum of the loss over some or all rows of a batch, on the model's device.

        Only the given model may be called, which may be a compiled form of the task's: the
        weights of a sharded model are gathered only while it runs.
        """

    def test_loss(self, model: torch.nn.Module) -> float:
        """Return the mean loss on real test data, while gradients and dropout are off.

        All ranks evaluate the same data: those of a sharded model must compute together, and
        others would have to wait anyway.
        """


class CurvePoint(NamedTuple):
    """One point of a learning curve.

    Attributes
    ----------
    step : int
        Number of updates done.
    train_loss : float
        Mean training loss of the updates since the last point.
    test_loss : float or None
        Loss on real test data after these updates, if it is computed.
    learning_rate : float
        Learning rate of the last update.
    """

    step: int
    train_loss: float
    test_loss: float | None
    learning_rate: float


Curve = list[CurvePoint]
