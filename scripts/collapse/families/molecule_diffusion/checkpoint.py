"""Checkpoints: the network's shape as JSON, its weights as safetensors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from collapse.artifacts import remedies
from collapse.families.molecule_diffusion.architectures import ARCHITECTURES, Architecture
from collapse.families.molecule_diffusion.networks import DualEncoder

CONFIGURATION, WEIGHTS = "config.json", "model.safetensors"


def initialised(name: str, seed: int) -> DualEncoder:
    """Return a newly initialised network, the same for the same seed.

    It predicts zero noise, with a mean squared error of 1. A random prediction is a sum over all
    pairs of atoms, whose error can be hundreds, and training would first have to undo it.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = DualEncoder(ARCHITECTURES[name])
    for branch in (network.near, network.local):
        last: Any = branch.score[-1]
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
    return network


def save(network: DualEncoder, folder: Path) -> None:
    """Write a network into a folder."""
    content = json.dumps(network.shape._asdict(), indent=1)
    (folder / CONFIGURATION).write_text(content + "\n", encoding="utf-8")
    save_file(_weights(network.cpu()), folder / WEIGHTS)


def read(folder: Path) -> DualEncoder:
    """Read a network, on the CPU.

    Raises
    ------
    DamagedFileError
        If the folder does not hold a network and its weights.
    """
    with remedies.reading(folder, "the checkpoint can't be loaded"):
        shape = Architecture(**json.loads((folder / CONFIGURATION).read_text(encoding="utf-8")))
        network = DualEncoder(shape)
        _set(network, load_file(folder / WEIGHTS))
    return network


def load(folder: Path) -> Any:
    """Return a network for evaluation, on the GPU if there is one; see `read`."""
    return read(folder).to("cuda" if torch.cuda.is_available() else "cpu").eval()


def _weights(network: DualEncoder) -> dict[str, Tensor]:
    """Return the parameters by name; buffers follow from the shape."""
    return {name: parameter.detach() for name, parameter in network.named_parameters()}


def _set(network: DualEncoder, found: dict[str, Tensor]) -> None:
    weights = _weights(network)
    if found.keys() != weights.keys():
        raise ValueError(f"weights of another shape: {min(found.keys() ^ weights.keys())}")
    for name, values in weights.items():
        if found[name].shape != values.shape:
            raise ValueError(f"{name}: found {found[name].shape}, expected {values.shape}")
        values.copy_(found[name])
