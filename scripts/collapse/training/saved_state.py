"""The resumable state of training: it is written as a whole, and checked when it is read.

The first rank writes ``training.pt``. If a model is sharded, each of the others writes a part
beside it, whose name has the number of updates. The parts count once ``training.pt`` names
them, which is renamed into place last. They hold successive rows of every tensor, so that any
number of ranks can read what another number has written, and each reads only its own rows.
(`torch.distributed.checkpoint` would do this too, but pickles its index.)
"""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from collapse.artifacts import files
from collapse.errors import in_one_line
from collapse.training import sharding
from collapse.training.distributed import Ranks

_FILE = "training.pt"


def write(
    folder: Path,
    content: Mapping[str, Any],
    model: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    ranks: Ranks,
) -> bool:
    """Write a state, together with the other ranks; return whether this rank knows it written.

    If it can't be, because a disk is full, say, training goes on, and the state before stays.

    Parameters
    ----------
    folder : Path
        Folder of the state, which all ranks see.
    content : mapping
        The ``fingerprint``, the ``step``, and further plain values to keep.
    model, optimiser : Module, Optimizer
        Model and optimiser whose tensors are written.
    ranks : Ranks
        The ranks that train the model.
    """
    weights = model.state_dict()  # parameters() may still be gathered after an evaluation
    sharded = any(map(sharding.is_sharded, weights.values()))
    if not (ranks.first or sharded):
        return True
    part = {
        "model": _own(weights, ranks),
        "optimiser": {
            index: _own(tensors, ranks)
            for index, tensors in optimiser.state_dict()["state"].items()
        },
    }
    names = [f"training.{content['step']}.{rank}.pt" for rank in range(ranks.world)]
    others = names[1:] if sharded else []
    failed = not ranks.first and not _save(part, folder / names[ranks.rank])
    if sharded:
        failed = bool(ranks.maximum(failed))
    if ranks.first and not failed:
        whole = {**content, **part, "others": others, "torch": str(torch.__version__)}
        failed = not _save(whole, folder / _FILE)
    if ranks.first and not failed:
        for path in set(folder.glob("training.*.*.pt")) - {folder / name for name in others}:
            path.unlink(missing_ok=True)
    return not failed


def _own(tensors: Mapping[str, Tensor], ranks: Ranks) -> dict[str, Tensor]:
    """Return what this rank writes: its rows of sharded tensors, and the first rank all others."""
    return {
        name: sharding.own(tensor)
        for name, tensor in tensors.items()
        if ranks.first or sharding.is_sharded(tensor)
    }


def _save(content: Mapping[str, Any], path: Path) -> bool:
    """Write a file; return whether it could be written, and say on standard error if not."""
    try:
        with files.whole(path) as partial:
            torch.save(dict(content), partial)
    except (OSError, RuntimeError) as error:  # torch reports a full disk by a RuntimeError
        print(f"{path}: can't be written ({in_one_line(error)}); training goes on", file=sys.stderr)
        return False
    return True


def read(folder: Path, fingerprint: str, ranks: Ranks) -> list[dict[str, Any]]:
    """Return the parts of a saved state, that of the first rank first, or an empty list.

    Either all ranks get the state or none does. A rank that finds it damaged or belonging to
    another training says so on standard error. Tensors are memory-mapped from the files.
    """
    reason, parts = "", []
    path = folder / _FILE
    if path.exists():
        try:
            parts = [_load(path)]
            parts += [_load(folder / name) for name in parts[0]["others"]]
            paths = [path, *(folder / name for name in parts[0]["others"])]
            # torch.load doesn't verify checksums, so each rank verifies its share of the files.
            if not all(map(_sound, paths[ranks.rank :: ranks.world])):
                reason = "is damaged"
            elif parts[0]["fingerprint"] != fingerprint:
                reason = "belongs to other data or parameters"
            elif parts[0]["torch"] != torch.__version__:
                reason = f"was written by torch {parts[0]['torch']}"
        except Exception:  # damage raises errors of many types
            reason = "is damaged"
    if reason:
        print(f"{path} {reason}: starting afresh", file=sys.stderr)
    return [] if ranks.maximum(bool(reason)) else parts


def _load(path: Path) -> dict[str, Any]:
    return dict(torch.load(path, map_location="cpu", weights_only=True, mmap=True))


def _sound(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return archive.testzip() is None


@torch.no_grad()
def restore(
    parts: Sequence[Mapping[str, Any]],
    model: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
) -> None:
    """Load the tensors of a model and its optimiser, or this rank's rows of them."""
    for name, tensor in model.state_dict().items():
        _fill(tensor, [part["model"][name] for part in parts if name in part["model"]])
    parameters = [one for group in optimiser.param_groups for one in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for index, names in parts[0]["optimiser"].items():
        state[index] = {}
        for name in names:
            pieces = [p["optimiser"][index][name] for p in parts if name in p["optimiser"][index]]
            scalar = pieces[0].ndim == 0
            tensor = torch.zeros(()) if scalar else torch.zeros_like(parameters[index])
            state[index][name] = _fill(tensor, pieces)
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


def _fill(tensor: Tensor, pieces: Sequence[Tensor]) -> Tensor:
    """Copy this rank's rows, from pieces that hold successive rows, into a tensor."""
    if tensor.ndim == 0:
        return tensor.copy_(pieces[0])
    wanted = sharding.own_rows(tensor)
    rows, start = [], 0
    for piece in pieces:
        rows.append(piece[max(wanted.start - start, 0) : max(wanted.stop - start, 0)])
        start += len(piece)
    sharding.own(tensor).copy_(torch.cat(rows))
    return tensor
