"""The training loop of all neural families: resumable, and the same after an interruption.

Whatever a step draws, it draws from its own number: the batch is a function of the step, and
the generators of torch are seeded anew before each. The state is therefore the weights, the
optimiser and the learning curve, and a run that was killed goes on bit for bit as if it had
not been, on the same kind of machine. (On GPUs, where some sums have no fixed order, to
rounding.)
"""

from __future__ import annotations

import ctypes
import math
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from collapse import training_state
from collapse.distributed import Ranks, joined, on_stop
from collapse.optimisation import Interrupted, Optimisation, TrainingError, learning_rate

#: Tensors by name, with the rows of a batch on their first axis.
Batch = Mapping[str, Tensor]

#: Losses left on a GPU before they are read, for reading one waits for all that is queued.
UNREAD = 100

#: What a rank asks of all after a step. The most urgent request is granted.
GO_ON, SAVE, STOP = range(3)


class Task(Protocol):
    """What a family trains."""

    @property
    def model(self) -> torch.nn.Module:
        """The model, trained in place."""

    def batch(self, step: int) -> Batch:
        """Return the global batch of a step (from 0), of all ranks together.

        A pure function of the step, or resuming is not exact. On GPUs it is called in a
        thread, one step ahead: it must not draw from torch's global generators.
        """

    def weight(self, batch: Batch) -> float:
        """Return what the loss of a global batch is divided by, say its predicted tokens."""

    def loss(self, model: torch.nn.Module, rows: Batch) -> Tensor:
        """Return the loss summed over rows, some or all of a batch, on the model's device.

        Call the given model, which may be a compiled form of the task's.
        """

    def test_loss(self, model: torch.nn.Module) -> float:
        """Return the mean loss on real test data. Gradients and dropout are off."""


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


def train(
    task: Task,
    optimisation: Optimisation,
    *,
    state: Path,
    fingerprint: str,
    seed_of: Callable[[int], int],
) -> Curve:
    """Train a task's model in place, from where an earlier run was interrupted if one was.

    In several ranks (`collapse.distributed`) all call this with the same arguments; each
    trains on its share of the rows, and only the first evaluates and saves. For the rest of
    the process, products of float32 matrices use TF32 on GPUs, and on CPUs memory that is
    freed is kept for use again.

    Parameters
    ----------
    task : Task
        What to train.
    optimisation : Optimisation
        How to.
    state : Path
        Directory of the resumable state, seen by all ranks. Remove it when
        what was trained is safely elsewhere.
    fingerprint : str
        Names all that the weights depend on; a state of another one is not resumed from.
    seed_of : callable
        Seed of the noise of a step, from 0; that of the test loss is ``seed_of(steps)``.

    Returns
    -------
    list of CurvePoint
        The learning curve; test losses only on the first rank.

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
        with closing(_batches(task, range(run.step, optimisation.steps), ranks)) as batches:
            for rows, weight in batches:
                run.advance(rows, weight)
                due = ranks.first and time.monotonic() - saved >= optimisation.save_seconds
                request = ranks.maximum(STOP if requests else SAVE if due else GO_ON)
                if request == GO_ON and run.step < optimisation.steps:
                    continue
                run.save(state, fingerprint)
                saved = time.monotonic()
                if request == STOP and run.step < optimisation.steps:
                    ranks.wait()  # a rank that leaves early would have the others ended
                    why = requests[0] if requests else "another rank"
                    raise Interrupted(
                        f"training stopped by {why} after step {run.step} of "
                        f"{optimisation.steps}; saved in {state}, run again to go on"
                    )
        return run.curve


def _batches(task: Task, steps: range, ranks: Ranks) -> Generator[tuple[Batch, float]]:
    """Yield this rank's rows of each step's batch, and the weight of the whole batch.

    For a GPU the next batch is made in a thread meanwhile, in memory it can copy from by
    itself. A CPU would only be kept from its work.
    """

    def make(step: int) -> tuple[Batch, float]:
        batch = task.batch(step)
        weight = task.weight(batch)
        rows = {name: ranks.share(values) for name, values in batch.items()}
        if ranks.device.type == "cuda":
            rows = {
                name: values if values.is_cuda else values.contiguous().pin_memory()
                for name, values in rows.items()
            }
        return rows, weight

    if ranks.device.type == "cpu":
        yield from map(make, steps)
        return
    with ThreadPoolExecutor(1) as background:
        coming = [background.submit(make, step) for step in steps[:1]]
        for step in steps:
            batch = coming.pop().result()
            if step + 1 in steps:
                coming.append(background.submit(make, step + 1))
            yield batch


@dataclass
class _Run:
    """A model under training: what the state holds, and one step.

    Attributes
    ----------
    step : int
        Updates done.
    total : float
        Sum of the losses of the steps since the last point of the curve.
    unread : list of Tensor
        The newest of these losses, still on the device and not in the sum.
    """

    task: Task
    optimisation: Optimisation
    ranks: Ranks
    seed_of: Callable[[int], int]
    step: int = 0
    total: float = 0.0
    curve: Curve = field(default_factory=list)
    unread: list[Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.on_gpu = self.ranks.device.type == "cuda"
        if self.on_gpu:
            torch.set_float32_matmul_precision("high")
        else:
            _keep_freed_memory()
        self.task.model.to(self.ranks.device).train()
        self.parameters = [p for p in self.task.model.parameters() if p.requires_grad]
        self.optimiser = _optimiser(self.parameters, self.optimisation)
        self.model: Any = self.task.model
        if self.on_gpu if self.optimisation.compile is None else self.optimisation.compile:
            self.model = torch.compile(self.task.model)
        self.bfloat16 = self.optimisation.precision == "bfloat16" or (
            self.optimisation.precision == "auto"
            and self.on_gpu
            and torch.cuda.is_bf16_supported(including_emulation=False)
        )

    def advance(self, rows: Batch, weight: float) -> None:
        """Do one step, and what is due after it."""
        rate = learning_rate(self.optimisation, self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self._seed(self.step)
        loss = self.ranks.add_up(self.parameters, self._backward(rows, weight))
        if self.optimisation.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.optimisation.clip)
        self.optimiser.step()
        self.optimiser.zero_grad()
        self.unread.append(loss)
        self.step += 1
        every, last = self.optimisation.evaluate_every, self.step == self.optimisation.steps
        if last or (every and self.step % every == 0):
            self._read()
            before = self.curve[-1].step if self.curve else 0
            test_loss = self._test_loss() if every and self.ranks.first else None
            mean = self.total / (self.step - before)
            self.curve.append(CurvePoint(self.step, mean, test_loss, rate))
            self.total = 0.0
        elif not self.on_gpu or len(self.unread) >= UNREAD:
            self._read()

    def _backward(self, rows: Batch, weight: float) -> Tensor:
        """Accumulate the gradients of this rank's rows, and return their part of the loss."""
        count = len(next(iter(rows.values())))
        size = self.optimisation.micro_batch or max(1, count)
        total = torch.zeros((), device=self.ranks.device)
        for start in range(0, count, size):
            part = {
                name: values[start : start + size].to(self.ranks.device, non_blocking=True)
                for name, values in rows.items()
            }
            with self._precision():
                loss = self.task.loss(self.model, part) / weight
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        return total

    def _precision(self) -> AbstractContextManager[Any]:
        if not self.bfloat16:
            return nullcontext()
        return torch.autocast(self.ranks.device.type, torch.bfloat16)

    def _seed(self, step: int) -> None:
        # The ranks' noise differs, and by so much that no seeds of neighbouring steps meet.
        seed = (self.seed_of(step) + self.ranks.rank * 0x9E3779B97F4A7C15) % 2**64
        # torch.manual_seed takes 0.1 ms to seed devices that are not there.
        torch.default_generator.manual_seed(seed)
        if self.on_gpu:
            torch.cuda.manual_seed(seed)

    def _test_loss(self) -> float:
        """Evaluate with the same noise, if any, at every point of the curve."""
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
        self.unread.clear()

    def save(self, state: Path, fingerprint: str) -> None:
        """Write the state, whole; a model that has diverged is never saved."""
        if self.unread:
            self._read()
        if not all(bool(parameter.isfinite().all()) for parameter in self.parameters):
            raise TrainingError(
                f"training diverged: weights are not finite after step {self.step} of "
                f"{self.optimisation.steps}"
            )
        if not self.ranks.first:
            return
        content = {
            "fingerprint": fingerprint,
            "step": self.step,
            "total": self.total,
            "curve": [tuple(point) for point in self.curve],
            "model": self.task.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        training_state.write(state, content)

    def resume(self, state: Path, fingerprint: str) -> None:
        """Go on from a saved state, if there is a sound one with this fingerprint."""
        found = training_state.read(state, fingerprint)
        step = int(found["step"]) if found else 0
        if self.ranks.maximum(step) != -self.ranks.maximum(-step):
            raise TrainingError(f"not all ranks see the same state of training in {state}")
        if found:
            self.task.model.load_state_dict(found["model"])
            self.optimiser.load_state_dict(found["optimiser"])
            self.step, self.total = step, found["total"]
            self.curve = [CurvePoint(*point) for point in found["curve"]]
        self.ranks.replicate(self.task.model)


def _keep_freed_memory() -> None:
    """Let a CPU's memory allocator keep what a step frees, for the next step.

    By default glibc returns large blocks to the system, and a tenth of the time of a step,
    more or less from run to run, goes into getting them back. Elsewhere this does nothing.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(-3, 2**25)  # M_MMAP_THRESHOLD, at its largest
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD


def _optimiser(
    parameters: list[torch.nn.Parameter], optimisation: Optimisation
) -> torch.optim.Optimizer:
    """Return AdamW that decays matrices only: a bias or a norm near 0 is no simpler model."""
    groups = [
        {
            "params": [p for p in parameters if p.ndim >= 2],
            "weight_decay": optimisation.weight_decay,
        },
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    # Fused is one pass over memory instead of a dozen: a third of the time, also on CPUs.
    return torch.optim.AdamW(
        groups, lr=optimisation.learning_rate, betas=optimisation.betas, fused=True
    )
