"""Data-parallel ranks: one process a GPU, which share the rows of every batch.

Ranks are started by `collapse.training.launching`, on one machine or on the nodes of a SLURM
job, or by torchrun or submitit; what they then say to each other is all in `Ranks`. A single
process is one rank, which has nobody to talk to and pays nothing.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from torch import Tensor

#: Signals that ask to save and stop: SLURM's before a time limit or a preemption, and Ctrl-C.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT)

#: Numbers of an all-reduce of gradients: 128 MB of float32, enough to fill any network.
BUCKET = 2**25


@dataclass(frozen=True)
class Ranks:
    """A process, this one, among those that train together.

    Attributes
    ----------
    rank, world : int
        Which process this is, of how many.
    device : torch.device
        What it computes on.
    """

    rank: int = 0
    world: int = 1
    device: torch.device = field(default_factory=lambda: _device(0))

    @property
    def first(self) -> bool:
        """Whether this rank is the one that writes files."""
        return self.rank == 0

    def share(self, values: Tensor) -> Tensor:
        """Return this rank's rows of a global batch."""
        return values[self.rank :: self.world] if self.world > 1 else values

    def maximum(self, number: int) -> int:
        """Return the largest of the numbers of all ranks.

        It travels between CPUs, so that no rank waits for its GPU.
        """
        if self.world == 1:
            return number
        shared = torch.tensor(number)
        dist.all_reduce(shared, dist.ReduceOp.MAX)
        return int(shared)

    def wait(self) -> None:
        """Wait until all ranks are here."""
        self.maximum(0)

    def replicate(self, tensors: Iterable[Tensor]) -> None:
        """Give all ranks the values of the first."""
        if self.world > 1:
            for tensor in tensors:
                dist.broadcast(tensor.detach(), src=0)

    def add_up(self, parameters: Iterable[torch.nn.Parameter], loss: Tensor) -> Tensor:
        """Replace gradients by their sum over the ranks, and return that of the losses.

        Unlike DistributedDataParallel this asks nothing of the model or its loss, and the
        ranks may have different numbers of rows, or none.
        """
        if self.world == 1:
            return loss
        loss = loss.clone()
        tensors = [loss]
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            tensors.append(parameter.grad)
        for bucket in _buckets(tensors):
            flat = torch.cat([tensor.flatten() for tensor in bucket])
            dist.all_reduce(flat)
            parts = torch.split(flat, [tensor.numel() for tensor in bucket])
            for tensor, part in zip(bucket, parts, strict=True):
                tensor.copy_(part.view_as(tensor))
        return loss


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Group tensors of one type: few large messages are faster than many small ones."""
    bucket: list[Tensor] = []
    size = 0
    for tensor in sorted(tensors, key=lambda tensor: str(tensor.dtype)):
        if bucket and (size + tensor.numel() > BUCKET or bucket[0].dtype != tensor.dtype):
            yield bucket
            bucket, size = [], 0
        bucket.append(tensor)
        size += tensor.numel()
    yield bucket


def _device(local: int) -> torch.device:
    if torch.cuda.is_available():
        # A launcher may show each rank only its own GPU, which is then number 0.
        return torch.device("cuda", local % torch.cuda.device_count())
    return torch.device("cpu")


@contextmanager
def joined() -> Iterator[Ranks]:
    """Join the other ranks, if the environment names any, and leave them afterwards.

    The environment is that of torchrun, of `collapse.training.launching`, of submitit's
    ``TorchDistributedEnvironment``, or of the tasks of a SLURM step. Messages between GPUs
    go by NCCL and those between CPUs by Gloo. Inside itself it does nothing more.
    """
    _read_slurm()
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Ranks()
        return
    device = _device(int(os.environ.get("LOCAL_RANK", "0")))
    ranks = Ranks(int(os.environ["RANK"]), world, device)
    if dist.is_initialized():
        yield ranks
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    try:
        yield ranks
    finally:
        dist.destroy_process_group()


def _read_slurm() -> None:
    """Name the ranks of a SLURM step of several tasks as torchrun does.

    Only a step counts: a batch script sees the job's number of tasks too, but is alone. The
    step must have the first node of its job, where the first rank is, whose address may also be
    named by the environment. Steps side by side in a job have ports of their own.
    """
    if "WORLD_SIZE" in os.environ or int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) == 1:
        return
    from submitit.helpers import TorchDistributedEnvironment

    os.environ.setdefault("SUBMITIT_EXECUTOR", "slurm")
    number = 7919 * int(os.environ["SLURM_JOB_ID"]) + int(os.environ["SLURM_STEP_ID"])
    os.environ.setdefault("MASTER_PORT", str(20_000 + number % 40_000))
    address = os.environ.get("MASTER_ADDR")
    found = TorchDistributedEnvironment().export(set_cuda_visible_devices=False, overwrite=True)
    os.environ["MASTER_ADDR"] = address or found.master_addr


@contextmanager
def on_stop(handle: Callable[[signal.Signals], None]) -> Iterator[None]:
    """Call a function at `STOP_SIGNALS`, instead of what else they do, within the block.

    A second Ctrl-C does what it always did. Outside the main thread, where Python handles
    no signals, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def received(number: int, _: object) -> None:
        if number == signal.SIGINT:
            signal.signal(number, before[signal.SIGINT])
        handle(signal.Signals(number))

    # None stands for a handler that is not Python's, which cannot be put back.
    before = {number: signal.getsignal(number) or signal.SIG_DFL for number in STOP_SIGNALS}
    for number in STOP_SIGNALS:
        signal.signal(number, received)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
