"""How to train, and how training may end other than well: what can be said without torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from collapse.errors import JobError


class TrainingError(JobError):
    """Training that cannot go on, in one line."""


class Interrupted(TrainingError):  # noqa: N818 - not an error: the next run goes on
    """Training that was asked to stop, in one line."""


@dataclass(frozen=True)
class Optimisation:
    """How to train: AdamW with a schedule.

    Attributes
    ----------
    steps : int
        Updates of the weights.
    learning_rate : float
        The largest of the schedule.
    warmup_steps : int
        Steps in which the learning rate grows to it, linearly.
    schedule : str
        After that it is constant, or falls to 0 in a straight line or half a cosine.
    weight_decay : float
        Of matrices, embeddings and convolutions only, not of biases and norms.
    betas : tuple of float
        Decay of AdamW's moments.
    clip : float or None
        Largest norm of the gradient.
    precision : str
        Of matrix products and convolutions; weights are float32 always. ``auto`` is
        bfloat16 on GPUs that have it. On CPUs it is float32: newer ones take a third less
        time in bfloat16, but numbers should not depend on which CPU a study met.
    compile : bool or None
        Use `torch.compile`. None is on GPUs only: on CPUs it costs more than it gains.
    micro_batch : int or None
        Rows of a forward pass on each rank, to save memory; None is all. Gradients are
        accumulated, so that only rounding depends on it (and the noise of dropout).
    sharded : bool
        Keep only a part of the weights, gradients and moments on each rank, and gather a block
        at a time, instead of a copy of all on each: for models that one GPU cannot hold.
    evaluate_every : int
        Steps between points of the learning curve, which always has one at the end. With 0
        the test loss is never computed.
    save_seconds : float
        Seconds between saves of the state.
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
    """Return how a neural family trains in so many steps.

    Parameters
    ----------
    parameters : Parameters
        Of the family, with ``learning_rate``, ``schedule``, ``warmup`` and ``curve_points``.
    steps : int
    **others
        Attributes of `Optimisation`, which take precedence.
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
    """Return the learning rate of a step (from 0)."""
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
