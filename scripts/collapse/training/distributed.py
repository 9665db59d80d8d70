"""Data-parallel ranks: there is one process for each GPU, and they share the rows of every batch.

Ranks are started by `collapse.training.launching`, on one machine or on the nodes of a SLURM
job, or by torchrun or submitit. `Ranks` holds all communication between them. A single process
is one rank, which communicates with nobody.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from torch import Tensor

#: Most numbers in one all-reduce of gradients: 128 MB of float32, which saturate any network.
BUCKET = 2**25


@dataclass(frozen=True)
class Ranks:
    """A process and its place among the ranks that train together.

    Attributes
    ----------
    rank, world : int
        Number of the process, from 0, and number of all processes.
    device : torch.device
        Device that the process computes on.
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

        The numbers are exchanged between CPUs, so that no rank waits for its GPU.
        """
        if self.world == 1:
            return number
        shared = torch.tensor(number)
        dist.all_reduce(shared, dist.ReduceOp.MAX)
        return int(shared)

    def wait(self) -> None:
        """Wait until all ranks have called this method."""
        self.maximum(0)

    def replicate(self, tensors: Iterable[Tensor]) -> None:
        """Copy the values of the first rank to all others."""
        if self.world > 1:
            for tensor in tensors:
                dist.broadcast(tensor.detach(), src=0)

    def add_up(self, parameters: Iterable[torch.nn.Parameter], loss: Tensor) -> Tensor:
        """Replace gradients by their sum over the ranks, and return the sum of the losses.

        Unlike DistributedDataParallel this sets no conditions on the model or its loss, and
        the ranks may have different numbers of rows, or none.
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
    """Group tensors of one type, since few large messages are faster than many small ones."""
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
    ``TorchDistributedEnvironment``, or of the tasks of a SLURM step. GPUs communicate through
    NCCL and CPUs through Gloo. A nested call returns the ranks that have joined already.
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
    """Set the variables of torchrun from those of a SLURM step with several tasks.

    Only the tasks of a step are ranks: a batch script sees the job's number of tasks too, but
    runs alone. Rank 0 is expected on the first node of the job unless ``MASTER_ADDR`` names its
    address. The port depends on the step, so that a job may run several steps at a time.
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
