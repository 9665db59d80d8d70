"""Sampling of conformations: one for each slot, from noise that belongs to the slot."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri

from collapse.data.molecules import conformations
from collapse.data.molecules.conformations import Conformations
from collapse.families.molecule_diffusion import Parameters, diffusion, samplers
from collapse.families.molecule_diffusion.graphs import graphs
from collapse.progress import Progress

#: Number of slots that are sampled together, always the same ones: rounding depends on the other
#: molecules of a batch, but a sample must not depend on how shards are cut.
BLOCK = 64


def generate(
    network: Any,
    graphs_of: Callable[[NDArray[np.int64]], Conformations],
    slots: Sequence[int],
    *,
    cycle: int,
    seeds: Sequence[int],
    parameters: Parameters,
) -> Conformations:
    """Sample a conformation for each slot, or several one after the other.

    Parameters
    ----------
    network : torch.nn.Module
        The network, on its device and in evaluation mode.
    graphs_of : callable
        Returns conformations with the graphs of given slots.
    slots : sequence of int
        Slots to sample, in ascending order.
    cycle : int
        Number of slots after which the graphs repeat; blocks end there.
    seeds : sequence of int
        Seeds of the noise, which also depends on the slot; all slots are sampled with each in turn.
    parameters : Parameters
        Parameters of the family, among them those of sampling.
    """
    wanted = np.asarray(slots, dtype=np.int64)
    parts, blocks = [], _blocks(wanted, cycle)
    with Progress("sampling", len(seeds) * len(blocks) * parameters.diffusion_steps) as shown:
        for seed, block in itertools.product(seeds, blocks):
            sampled = _sample(network, graphs_of(block), block, seed, parameters, shown)
            parts.append(sampled.take(np.nonzero(np.isin(block, wanted))[0]))
    return conformations.concatenate(parts)


def _blocks(slots: NDArray[np.int64], cycle: int) -> list[NDArray[np.int64]]:
    """Return the whole blocks that contain the slots."""
    begins = slots // cycle * cycle
    firsts = begins + (slots - begins) // BLOCK * BLOCK
    ends = np.minimum(firsts + BLOCK, begins + cycle)
    pairs = dict.fromkeys(zip(firsts.tolist(), ends.tolist(), strict=True))
    return [np.arange(first, end) for first, end in pairs]


def _sample(
    network: Any,
    chosen: Conformations,
    block: NDArray[np.int64],
    seed: int,
    parameters: Parameters,
    shown: Progress,
) -> Conformations:
    device = next(network.parameters()).device
    rows = conformations.padded(chosen, np.arange(chosen.size))
    width = rows["atoms"].shape[1]
    found = graphs({name: torch.from_numpy(values).to(device) for name, values in rows.items()})

    def noise(number: int) -> torch.Tensor:
        drawn = normals(seed, number, block, width, parameters.most_atoms)
        return found.flat(torch.from_numpy(drawn).to(device))

    positions = diffusion.sample(
        network,
        found,
        noise,
        samplers.updates(parameters.sampler, parameters.diffusion_steps, parameters.stochasticity),
        done=shown.count,
    )
    return chosen._replace(positions=positions.cpu().numpy())


def normals(
    seed: int, number: int, block: NDArray[np.int64], width: int, most: int
) -> NDArray[np.float32]:
    """Return the standard normals of consecutive slots in a draw, independently of other slots.

    A counter-based generator can begin anywhere in its stream, so each slot has a section of it
    with numbers for ``most`` atoms; those of the first ``width`` are returned.

    Returns
    -------
    ndarray, shape (slots, width, 3)
    """
    words = -(-3 * most // 4) * 4  # each count of the generator gives four words
    bits = np.random.Philox(np.random.SeedSequence([seed, number]))
    bits.advance(int(block[0]) * words // 4)
    uniform = np.random.Generator(bits).random((len(block), words))[:, : 3 * width]
    return ndtri(np.clip(uniform, 2**-54, None)).astype(np.float32).reshape(-1, width, 3)
