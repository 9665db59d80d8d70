"""Settings of training, its learning rate and its errors; nothing here needs torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from collapse.errors import JobError


class TrainingError(JobError):
    """Training that cannot go on; the message is one line."""


class Interrupted(TrainingError):  # noqa: N818 - not an error: the next run goes on
    """Training that was stopped by a signal; the message is one line."""


@dataclass(frozen=True)
class Optimisation:
    """Settings of training by AdamW with a learning-rate schedule.

    Attributes
    ----------
    steps : int
        Number of updates of the weights.
    learning_rate : float
        Largest learning rate of the schedule.
    warmup_steps : int
        Number of updates in which the learning rate rises linearly to its largest value.
    schedule : str
        Whether it then stays constant, or falls to 0 linearly or along half a cosine.
    weight_decay : float
        Weight decay of matrices, embeddings and convolutions; biases and norms have none.
    betas : tuple of float
        Decay rates of AdamW's moments.
    clip : float or None
        Largest norm of the gradient, or None for no limit.
    precision : str
        Precision of matrix products and convolutions; weights are always float32. ``auto`` is
        bfloat16 on GPUs that support it. On CPUs it is float32: newer ones take a third less
        time in bfloat16, but numbers should not depend on the CPU.
    compile : bool or None
        Whether to use `torch.compile`. None uses it on GPUs only: on CPUs it does not pay.
    micro_batch : int or None
        Rows of a forward pass on each rank, to save memory; None is all. Gradients are
        accumulated, so that it affects only rounding (and the noise of dropout).
    sharded : bool
        Whether a rank keeps only a part of the weights, gradients and moments, and gathers one
        block at a time, instead of having a full copy: for models that one GPU cannot hold.
    evaluate_every : int
        Number of updates between points of the learning curve, which always has a point at the
        end. With 0 the test loss is never computed.
    save_seconds : float
        Seconds between saves of the resumable state.
    """

    steps: int
    learning_rate: float
    warmup_steps: int = 0
    schedule: Literal["constant", "cosine", "linear"] = "constant"
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    clip: float | None = 1.0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: bool | None = None
    micro_batch: int | None = None
    sharded: bool = False
    evaluate_every: int = 0
    save_seconds: float = 600.0


def planned(parameters: Any, steps: int, **others: Any) -> Optimisation:
    """Return the settings of a family's training with a given number of updates.

    Parameters
    ----------
    parameters : Parameters
        The family's, with ``learning_rate``, ``schedule``, ``warmup`` and ``curve_points``.
    steps : int
        Number of updates.
    **others
        Attributes of `Optimisation`, which take precedence over those of the parameters.
    """
    points = parameters.curve_points
    found = {
        "learning_rate": parameters.learning_rate,
        "warmup_steps": round(parameters.warmup * steps),
        "schedule": parameters.schedule,
        "evaluate_every": math.ceil(steps / points) if points else 0,
    }
    return Optimisation(steps=steps, **(found | others))


def learning_rate(optimisation: Optimisation, step: int) -> float:
    """Return the learning rate of an update, counted from 0."""
    peak, warmup = optimisation.learning_rate, optimisation.warmup_steps
    if step < warmup:
        return peak * (step + 1) / warmup
    left = (optimisation.steps - step) / (optimisation.steps - warmup)
    match optimisation.schedule:
        case "constant":
            return peak
        case "linear":
            return peak * left
        case "cosine":
            return peak * (1 - math.cos(math.pi * left)) / 2
