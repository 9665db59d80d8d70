"""What a family gives the training loop, and what it gets back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

#: Tensors by name, with the rows of a batch on their first axis.
Batch = Mapping[str, Tensor]


class Task(Protocol):
    """What a family trains."""

    @property
    def model(self) -> torch.nn.Module:
        """The model, trained in place.

        On other ranks than the first it may be on the meta device: weights and buffers are
        the first rank's.
        """

    def batch(self, step: int) -> Batch:
        """Return the global batch of a step (from 0), of all ranks together.

        A pure function of the step, or resuming is not exact. On GPUs it is called in a
        thread, one step ahead: it must not draw from torch's global generators.
        """

    def weight(self, batch: Batch) -> float:
        """Return what the loss of a global batch is divided by, say its predicted tokens."""

    def loss(self, model: torch.nn.Module, rows: Batch) -> Tensor:
        """Return the loss summed over rows, some or all of a batch, on the model's device.

        Call the given model, which may be a compiled form of the task's, and it only: the
        weights of one that is sharded are there while it runs.
        """

    def test_loss(self, model: torch.nn.Module) -> float:
        """Return the mean loss on real test data. Gradients and dropout are off.

        All ranks evaluate the same: those that share a model compute it together, and others
        would have to wait anyway.
        """


class CurvePoint(NamedTuple):
    """One point of a learning curve.

    Attributes
    ----------
    step : int
        Updates done.
    train_loss : float
        Mean over the steps since the last point.
    test_loss : float or None
        On real test data, after this step.
    learning_rate : float
        Of this step.
    """

    step: int
    train_loss: float
    test_loss: float | None
    learning_rate: float


Curve = list[CurvePoint]
