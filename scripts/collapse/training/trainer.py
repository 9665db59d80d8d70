"""The training loop of all neural families, which an interruption does not change.

All randomness of an update follows from its number: the batch is a function of it, and torch's
generators are seeded anew before each update. The state therefore consists of the weights, the
optimiser and the learning curve, and a run that was killed continues on the same kind of
machine exactly as if it had not been; on GPUs, where some sums have no fixed order, this holds
up to rounding.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from collapse.progress import Progress
from collapse.training import adamw, allocator, batches, saved_state, sharding
from collapse.training.batches import Share
from collapse.training.distributed import Ranks, joined
from collapse.training.optimisation import Interrupted, Optimisation, TrainingError, learning_rate
from collapse.training.signals import on_stop
from collapse.training.task import Batch, Curve, CurvePoint, Task

__all__ = ["Batch", "Curve", "CurvePoint", "Task", "train"]

#: Number of losses left on a GPU before they are read, since reading waits for all queued work.
UNREAD = 100

#: Requests of a rank to all ranks after an update, of which the most urgent is granted.
GO_ON, SAVE, STOP = range(3)


def train(
    task: Task,
    optimisation: Optimisation,
    *,
    state: Path,
    fingerprint: str,
    seed_of: Callable[[int], int],
) -> Curve:
    """Train a task's model in place, and continue an interrupted run if there is one.

    All ranks (`collapse.training.distributed`) call this with the same arguments, and each
    trains on its share of the rows. A sharded model stays sharded; `sharding.whole_state`
    gathers any model for saving. For the rest of the process, products of float32 matrices use
    TF32 on GPUs, and on CPUs freed memory is kept for reuse.

    Parameters
    ----------
    task : Task
        The model, its batches and its loss.
    optimisation : Optimisation
        Settings of the training.
    state : Path
        Directory of the resumable state, which all ranks see. Remove it once the trained model
        is saved elsewhere.
    fingerprint : str
        Identifies all that the weights depend on, except the version of torch. A state with
        another fingerprint or of another version is not resumed from.
    seed_of : callable
        Returns the seed of the noise of an update, counted from 0; ``seed_of(steps)`` is that
        of the test loss.

    Returns
    -------
    list of CurvePoint
        The learning curve.

    Raises
    ------
    Interrupted
        After a signal to stop, once the state is saved.
    TrainingError
        If the loss or a weight is not a finite number.
    """
    requests: list[str] = []
    with joined() as ranks, on_stop(lambda number: requests.append(number.name)):
        run = _Run(task, optimisation, ranks, seed_of)
        run.resume(state, fingerprint)
        saved = time.monotonic()
        with run.shown, closing(run.shares()) as shares:
            for share in shares:
                run.advance(share)
                due = ranks.first and time.monotonic() - saved >= optimisation.save_seconds
                request = ranks.maximum(STOP if requests else SAVE if due else GO_ON)
                if request == GO_ON and run.step < optimisation.steps:
                    continue
                written = run.save(state, fingerprint)
                saved = time.monotonic()
                if request == STOP and run.step < optimisation.steps:
                    ranks.wait()  # the others would be killed if one rank ended early
                    why = requests[0] if requests else "another rank"
                    how = f"saved in {state}" if written else "its state can't be written"
                    raise Interrupted(
                        f"training stopped by {why} after step {run.step} of "
                        f"{optimisation.steps}; {how}, run again to go on"
                    )
        return run.curve


@dataclass
class _Run:
    """A training in progress.

    Attributes
    ----------
    step : int
        Number of updates done.
    total : float
        Sum of the losses of the updates since the last point of the curve.
    unread : list of Tensor
        The newest of these losses, which are still on the device and not in the sum.
    read : float
        Sum of all losses that were read, from which the means that are shown follow.
    shown : Progress
        Shows the progress of the training.
    told : tuple of int and float
        The number of updates, and the sum of losses, when it last showed a loss.
    """

    task: Task
    optimisation: Optimisation
    ranks: Ranks
    seed_of: Callable[[int], int]
    step: int = 0
    total: float = 0.0
    curve: Curve = field(default_factory=list)
    unread: list[Tensor] = field(default_factory=list)
    read: float = 0.0
    shown: Progress = field(init=False)
    told: tuple[int, float] = (0, 0.0)

    def __post_init__(self) -> None:
        self.on_gpu = self.ranks.device.type == "cuda"
        if self.on_gpu:
            torch.set_float32_matmul_precision("high")
        else:
            allocator.keep_freed_memory()
        self.bfloat16 = self.optimisation.precision == "bfloat16" or (
            self.optimisation.precision == "auto"
            and self.on_gpu
            and torch.cuda.is_bf16_supported(including_emulation=False)
        )
        compiled = self.optimisation.compile
        self.layout = sharding.layout(self.optimisation, self.ranks)
        self.model = self.layout.place(
            self.task.model.train(),
            bfloat16=self.bfloat16,
            compiled=self.on_gpu if compiled is None else compiled,
        )
        self.parameters = [p for p in self.task.model.parameters() if p.requires_grad]
        self.optimiser = adamw.optimiser(self.parameters, self.optimisation)

    def shares(self) -> Generator[Share]:
        """Yield this rank's shares of the remaining batches."""
        steps = range(self.step, self.optimisation.steps)
        return batches.shares(self.task, steps, self.layout, self.optimisation.micro_batch)

    def advance(self, share: Share) -> None:
        """Do one update, and add a point to the learning curve if one is due."""
        rate = learning_rate(self.optimisation, self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self._seed(self.step)
        loss = self.layout.add_up(self.parameters, self._backward(share))
        if self.optimisation.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.optimisation.clip)
        self.optimiser.step()
        self.optimiser.zero_grad()
        self.unread.append(loss)
        self.step += 1
        self.shown.advance(1, share.weight)
        every, last = self.optimisation.evaluate_every, self.step == self.optimisation.steps
        if last or (every and self.step % every == 0):
            self._read()
            before = self.curve[-1].step if self.curve else 0
            test_loss = self._test_loss() if every else None
            mean = self.total / (self.step - before)
            self.curve.append(CurvePoint(self.step, mean, test_loss, rate))
            self.total = 0.0
            self._tell(rate, test_loss)
        elif self.shown.due:
            self._tell(rate)
        elif not self.on_gpu or len(self.unread) >= UNREAD:
            self._read()

    def _backward(self, share: Share) -> Tensor:
        """Accumulate the gradients of this rank's rows, and return their part of the loss."""
        count = len(next(iter(share.rows.values())))
        size = self.optimisation.micro_batch or max(1, count)
        total = torch.zeros((), device=self.ranks.device)
        for start in range(0, count, size):
            part = {
                name: values[start : start + size].to(self.ranks.device, non_blocking=True)
                for name, values in share.rows.items()
            }
            with self._precision():
                loss = self.task.loss(self.model, part) / share.weight
            if start >= share.counted:
                loss = 0 * loss
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        return total

    def _precision(self) -> AbstractContextManager[Any]:
        if not self.bfloat16:
            return nullcontext()
        return torch.autocast(self.ranks.device.type, torch.bfloat16)

    def _seed(self, step: int) -> None:
        # Seeds of different ranks lie so far apart that those of nearby updates never meet.
        seed = (self.seed_of(step) + self.ranks.rank * 0x9E3779B97F4A7C15) % 2**64
        # torch.manual_seed takes 0.1 ms to seed devices that are not there.
        torch.default_generator.manual_seed(seed)
        if self.on_gpu:
            torch.cuda.manual_seed(seed)

    def _test_loss(self) -> float:
        """Return the test loss, with the same noise, if any, at every point of the curve."""
        self.task.model.eval()
        self._seed(self.optimisation.steps)
        with torch.no_grad(), self._precision():
            loss = float(self.task.test_loss(self.task.model))
        self.task.model.train()
        return loss

    def _read(self) -> None:
        """Add the losses that are still on the device to the sum, one by one."""
        first = self.step - len(self.unread)
        for step, loss in enumerate(torch.stack(self.unread).tolist(), first):
            if not math.isfinite(loss):
                rate = learning_rate(self.optimisation, step)
                raise TrainingError(
                    f"training diverged: the loss is {loss} at step {step + 1} of "
                    f"{self.optimisation.steps}, with a learning rate of {rate:.3g}"
                )
            self.total += loss
            self.read += loss
        self.unread.clear()

    def _tell(self, rate: float, test_loss: float | None = None) -> None:
        """Show the mean loss since the last time; losses that are unread remain so."""
        read = self.read + (float(torch.stack(self.unread).sum()) if self.unread else 0.0)
        (step, before), self.told = self.told, (self.step, read)
        mean = (read - before) / max(1, self.step - step)
        self.shown.tell(train_loss=mean, test_loss=test_loss, learning_rate=rate)

    def save(self, state: Path, fingerprint: str) -> bool:
        """Write the state as a whole if possible; a model that has diverged is never saved."""
        if self.unread:
            self._read()
        finite = all(bool(sharding.own(one).isfinite().all()) for one in self.parameters)
        if self.ranks.maximum(not finite):
            raise TrainingError(
                f"training diverged: weights are not finite after step {self.step} of "
                f"{self.optimisation.steps}"
            )
        content = {
            "fingerprint": fingerprint,
            "step": self.step,
            "total": self.total,
            "curve": [tuple(point) for point in self.curve],
        }
        return saved_state.write(state, content, self.task.model, self.optimiser, self.ranks)

    def resume(self, state: Path, fingerprint: str) -> None:
        """Continue from a saved state, if there is an undamaged one with this fingerprint."""
        parts = saved_state.read(state, fingerprint, self.ranks)
        step = int(parts[0]["step"]) if parts else 0
        if self.ranks.maximum(step) != -self.ranks.maximum(-step):
            raise TrainingError(f"not all ranks see the same state of training in {state}")
        if parts:
            saved_state.restore(parts, self.task.model, self.optimiser)
            self.step, self.total = step, parts[0]["total"]
            self.curve = [CurvePoint(*point) for point in parts[0]["curve"]]
            if self.ranks.first:
                print(f"going on after step {step} of {self.optimisation.steps}", file=sys.stderr)
        self.told = (self.step, 0.0)
        self.shown = Progress(
            "training",
            self.optimisation.steps,
            done=self.step,
            amount=self.task.unit,
            shown=self.ranks.first,
        )
