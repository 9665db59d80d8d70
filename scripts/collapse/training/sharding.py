"""How a model is laid out on its ranks: whole on each, or sharded over them.

A rank of a sharded model keeps its rows of every weight, gradient and moment of the optimiser.
The weights of a block are gathered when it computes and dropped afterwards, and its gradients
are summed on their way back to the ranks that keep them; torch's FSDP2 does this
(`fully_shard`; Zhao et al. 2023, arXiv 2304.11277). An update equals that of a whole model up
to rounding, which is larger in bfloat16, since blocks then also pass bfloat16 to each other.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeGuard

import torch
from torch import Tensor

from collapse.training.distributed import Ranks
from collapse.training.optimisation import Optimisation
from collapse.training.task import Batch

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor


@dataclass(frozen=True)
class Replicated:
    """Every rank has the whole model; gradients are summed once the backward pass is done."""

    ranks: Ranks

    def place(self, model: torch.nn.Module, *, bfloat16: bool, compiled: bool) -> Any:
        """Copy the first rank's model to the device of each rank, and return the model to call.

        Parameters
        ----------
        model : Module
            The model, which is changed in place.
        bfloat16 : bool
            Whether the model will compute in bfloat16. Weights stay float32.
        compiled : bool
            Whether to use `torch.compile`.
        """
        _receive(model, self.ranks)
        return torch.compile(model) if compiled else model

    def share(self, batch: Batch, micro_batch: int | None) -> tuple[Batch, int]:
        """Return this rank's rows of a global batch, and how many of them count."""
        rows = {name: self.ranks.share(values) for name, values in batch.items()}
        return rows, _count(rows)

    def add_up(self, parameters: Sequence[torch.nn.Parameter], loss: Tensor) -> Tensor:
        """Replace gradients by their sum over the ranks, and return the sum of the losses."""
        return self.ranks.add_up(parameters, loss)


@dataclass(frozen=True)
class Sharded:
    """Every rank has its rows of all weights; `Replicated` describes the methods."""

    ranks: Ranks

    def place(self, model: torch.nn.Module, *, bfloat16: bool, compiled: bool) -> Any:
        """Give each rank its rows of the first rank's model, and return the model to call.

        No more than one block is ever whole on a device. Weights are gathered in the precision
        of the computation, and gradients are summed in float32.
        """
        # These take a second to import, for which a single rank need not wait.
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

        mesh = init_device_mesh(self.ranks.device.type, (self.ranks.world,))
        policy = MixedPrecisionPolicy(
            param_dtype=torch.bfloat16 if bfloat16 else None, reduce_dtype=torch.float32
        )
        for module in (*_blocks(model), model):
            _receive(module, self.ranks)
            if compiled and module is not model:
                # The block's hooks, which gather its weights, are not compiled.
                module.forward = torch.compile(module.forward)
            sharded = fully_shard(module, mesh=mesh, mp_policy=policy)
            # Gradients are summed, not averaged, since the loss is already divided by the
            # weight of the batch. This is the only way to have sums that Gloo supports.
            sharded.set_gradient_divide_factor(1.0)
            sharded.set_force_sum_reduction_for_comms(True)
        return model

    def share(self, batch: Batch, micro_batch: int | None) -> tuple[Batch, int]:
        """Return this rank's rows of a global batch, and how many of them count.

        All ranks gather a block together, so each must do as many passes as the first, which
        has the most rows. A rank that would do fewer computes one more row that doesn't count.
        """
        rows = {name: self.ranks.share(values) for name, values in batch.items()}
        counted, most = _count(rows), -(-_count(batch) // self.ranks.world)
        size = micro_batch or most
        if -(-counted // size) < -(-most // size):
            rows = {name: torch.cat([values, batch[name][:1]]) for name, values in rows.items()}
        return rows, counted

    def add_up(self, parameters: Sequence[torch.nn.Parameter], loss: Tensor) -> Tensor:
        """Return the sum of the losses; gradients were summed in the backward pass."""
        return self.ranks.add_up((), loss)


Layout = Replicated | Sharded


def layout(optimisation: Optimisation, ranks: Ranks) -> Layout:
    """Return the layout of a model on the ranks."""
    return Sharded(ranks) if optimisation.sharded and ranks.world > 1 else Replicated(ranks)


def is_sharded(tensor: Tensor) -> TypeGuard[DTensor]:
    """Tell whether a rank has only its rows of a tensor."""
    # Without this module, which takes long to import, no tensor can be of its class.
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)


def own(tensor: Tensor) -> Tensor:
    """Return this rank's part of a tensor: its rows if the tensor is sharded, else all of it."""
    return tensor.to_local() if is_sharded(tensor) else tensor


def own_rows(tensor: Tensor) -> range:
    """Return the places of this rank's rows in a tensor; all of them if it is not sharded."""
    if not is_sharded(tensor):
        return range(len(tensor))
    mesh = tensor.device_mesh
    start = min(mesh.get_local_rank() * -(-len(tensor) // mesh.size()), len(tensor))
    return range(start, start + len(tensor.to_local()))


def whole_state(model: torch.nn.Module, ranks: Ranks) -> dict[str, Tensor]:
    """Gather a model's weights and buffers by name, on the CPU of the first rank.

    All ranks must call this; only one tensor at a time is whole on a device. Tied weights stay
    one tensor, so that ``save_pretrained(folder, state_dict=...)`` writes them once.

    Returns
    -------
    dict
        The tensors by name on the first rank, and nothing on the others.
    """
    gathered: dict[Tensor, Tensor] = {}
    named: dict[str, Tensor] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        if tensor not in gathered:
            part = tensor.detach()
            whole = part.full_tensor() if is_sharded(part) else part
            gathered[tensor] = whole.cpu() if ranks.first else torch.empty(0)
        named[name] = gathered[tensor]
    return named if ranks.first else {}


def _blocks(model: torch.nn.Module) -> Iterator[torch.nn.Module]:
    """Yield the modules of the classes that transformers never splits over devices.

    Each is gathered as a whole. A model that names no such classes is gathered at once.
    """
    names = getattr(model, "_no_split_modules", None) or ()
    yield from [module for module in model.modules() if type(module).__name__ in names]


def _receive(module: torch.nn.Module, ranks: Ranks) -> None:
    """Put a module on this rank's device, with the first rank's weights and buffers."""
    made: dict[Tensor, Tensor] = {}
    for part in module.modules():
        for name, tensor in (*part._parameters.items(), *part._buffers.items()):
            if tensor is not None and tensor.is_meta:
                if tensor not in made:  # tied weights stay tied
                    empty = torch.empty_like(tensor, device=ranks.device)
                    if isinstance(tensor, torch.nn.Parameter):
                        empty = torch.nn.Parameter(empty, tensor.requires_grad)
                    made[tensor] = empty
                setattr(part, name, made[tensor])
    module.to(ranks.device)
    tensors = (*module.parameters(), *module.buffers())
    ranks.replicate(tensor for tensor in tensors if not is_sharded(tensor))


def _count(batch: Batch) -> int:
    return len(next(iter(batch.values())))
