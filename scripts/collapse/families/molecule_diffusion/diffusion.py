"""Diffusion of positions: GeoDiff's noise levels, the loss, and sampling in a few steps.

Positions stay in ångström: at noise level t they are x_t = x_0 + σ_t ε. This is GeoDiff's process
with variances β_t, divided by √ᾱ_t, so that σ_t² = (1 - ᾱ_t)/ᾱ_t. The mean over a molecule's atoms
is removed from noise and positions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from collapse.families.molecule_diffusion.graphs import Graphs
from collapse.families.molecule_diffusion.samplers import Update

#: The noise of an atom is longer than this, in units of its standard deviation, with probability
#: 1e-7. A longer prediction is an error, and would cause a larger one at the next noise level.
LONGEST = 6.0


def squared_errors(
    network: Any, graphs: Graphs, positions: Tensor, noise: Tensor, sigma: Tensor
) -> Tensor:
    """Return the squared error of the predicted noise.

    Parameters
    ----------
    network : torch.nn.Module
        A `networks.DualEncoder`.
    graphs : Graphs
    positions, noise : Tensor, shape (atoms, 3)
        Real positions in ångström, and standard normals.
    sigma : Tensor, shape (molecules,)
        Noise level of each molecule.

    Returns
    -------
    Tensor, shape (atoms,)
        The mean over the three coordinates.
    """
    noise = graphs.centred(noise)
    diffused = positions + sigma[graphs.molecule, None] * noise
    predicted = network(graphs, diffused, sigma)
    return ((predicted - noise) ** 2).mean(dim=-1)


@torch.no_grad()
def sample(
    network: Any,
    graphs: Graphs,
    noise: Callable[[int], Tensor],
    updates: Sequence[Update],
    done: Callable[[], None] = lambda: None,
) -> Tensor:
    """Sample a conformation of each molecule.

    Parameters
    ----------
    network : torch.nn.Module
    graphs : Graphs
    noise : callable
        Returns standard normals of shape (atoms, 3), given the number of the draw, from 0.
    updates : sequence of Update
        Those of a sampler (`samplers.updates`).
    done : callable
        Called after each update.

    Returns
    -------
    Tensor, shape (atoms, 3)
        Positions in ångström.
    """
    positions = updates[0].now * graphs.centred(noise(0))
    before = torch.zeros_like(positions)
    for number, one in enumerate(updates, start=1):
        sigma = positions.new_full((graphs.molecules,), one.now)
        predicted = _shortened(network(graphs, positions, sigma))
        clean = graphs.centred(positions - one.now * predicted)
        positions = one.keep * positions + one.clean * clean + one.change * (clean - before)
        if one.noise > 0:
            positions = positions + one.noise * graphs.centred(noise(number))
        before = clean
        done()
    return positions


def _shortened(noise: Tensor) -> Tensor:
    """Shorten vectors to a length of at most `LONGEST`."""
    lengths = noise.norm(dim=-1, keepdim=True)
    return noise * (LONGEST / lengths.clamp(min=LONGEST))
