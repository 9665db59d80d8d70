"""The package's training loop and a bare PyTorch loop, which take turns in one process.

The bare loop is enough for a single run without interruptions: batches made beforehand, forward,
backward, clipped gradients if the package clips them, and fused AdamW with the same groups. The
package's loop also makes its batches, follows the schedule, seeds every step, reads the loss, and
watches for signals and for the time to save. Equal weights at the end show equal work.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from collapse.training.optimisation import Optimisation

#: Steps at the beginning that are not counted, because they allocate memory.
WARM_UP = 3


def compare(
    task: Any,
    other: Any,
    loss: Callable[[Any, Mapping[str, Tensor]], Tensor],
    optimisation: Optimisation,
) -> dict[str, float]:
    """Return the median processor seconds of a step of both loops, and how far weights differ.

    Parameters
    ----------
    task : collapse.training.Task
        The task of the package's loop, with a model on the CPU.
    other : torch.nn.Module
        The same model with the same weights, which the bare loop trains.
    loss : callable
        The bare loop's mean loss of a model on a batch.
    optimisation : Optimisation
        The training's settings, with a constant learning rate.

    Returns
    -------
    dict
        Seconds of a step of the package (``ours``) and of the ``bare`` loop, seconds to make a
        ``batch`` in the package, and the largest ``difference`` of two weights.
    """
    import torch

    from collapse.training import trainer

    torch.set_num_threads(1)  # several threads wait for each other if other processes run
    taking = _TakingTurns(task, _Bare(task, other, loss, optimisation))
    with tempfile.TemporaryDirectory() as state:
        trainer.train(
            taking, optimisation, state=Path(state), fingerprint="", seed_of=lambda step: step
        )
    pairs = zip(task.model.parameters(), other.parameters(), strict=True)
    return {
        # Each call but the first marks the end of a step of the package's loop.
        "ours": statistics.median(taking.own[1 + WARM_UP :]),
        "bare": statistics.median(taking.plain[WARM_UP:-1]),
        "batch": statistics.median(taking.made[WARM_UP:]),
        "difference": max(float((a - b).detach().abs().max()) for a, b in pairs),
    }


class _TakingTurns:
    """A task that lets the bare loop do a step before it returns the batch of that step."""

    def __init__(self, task: Any, bare: _Bare) -> None:
        self._task, self._bare = task, bare
        self.own: list[float] = []
        self.plain: list[float] = []
        self.made: list[float] = []
        self._since = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)

    def batch(self, step: int) -> Any:
        start = time.process_time()
        self.own.append(start - self._since)
        self._bare.step(step)
        self._since = time.process_time()
        self.plain.append(self._since - start)
        batch = self._task.batch(step)
        self.made.append(time.process_time() - self._since)
        return batch


class _Bare:
    """The bare loop."""

    def __init__(
        self, task: Any, model: Any, loss: Callable[..., Tensor], optimisation: Optimisation
    ) -> None:
        import torch

        self.model, self.loss, self.clip = model.train(), loss, optimisation.clip
        self.batches = [task.batch(step) for step in range(optimisation.steps)]
        parameters = list(model.parameters())
        decay = optimisation.weight_decay
        self.optimiser = torch.optim.AdamW(
            [
                {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": decay},
                {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
            ],
            lr=optimisation.learning_rate,
            betas=optimisation.betas,
            fused=True,
        )

    def step(self, step: int) -> None:
        """Do one step."""
        from torch.nn.utils import clip_grad_norm_

        loss = self.loss(self.model, self.batches[step])
        loss.backward()  # type: ignore[no-untyped-call]
        if self.clip is not None:
            clip_grad_norm_(self.model.parameters(), self.clip)
        self.optimiser.step()
        self.optimiser.zero_grad()
