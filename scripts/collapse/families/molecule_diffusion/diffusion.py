"""Diffusion of positions: GeoDiff's noise levels, its loss, and sampling in a few steps.

Positions stay in ångström: at noise level t they are x_t = x_0 + σ_t ε. This is GeoDiff's process
with variances β_t, divided by √ᾱ_t, so that σ_t² = (1 - ᾱ_t)/ᾱ_t. The mean over a molecule's atoms
is removed from noise and positions.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from collapse.families.molecule_diffusion.graphs import Graphs

#: Those of GeoDiff (docs/reproduction.md, "Molecular diffusion on GEOM-Drugs").
STEPS, LOWEST_BETA, HIGHEST_BETA = 5000, 1e-7, 2e-3

#: The noise of an atom is longer than this, in units of its standard deviation, with probability
#: 1e-7. A longer prediction is an error, and would cause a larger one at the next noise level.
LONGEST = 6.0


def betas() -> NDArray[np.float64]:
    """Return the variances β_t, which rise in a sigmoid from the lowest to the highest."""
    rising = 1 / (1 + np.exp(-np.linspace(-6, 6, STEPS)))
    return LOWEST_BETA + (HIGHEST_BETA - LOWEST_BETA) * rising


def noise_levels() -> NDArray[np.float64]:
    """Return the standard deviations σ_t of the noise, in ångström."""
    kept = np.cumprod(1 - betas())
    return np.sqrt((1 - kept) / kept)


def sampling_levels(steps: int) -> NDArray[np.float64]:
    """Return falling noise levels for sampling, evenly spaced among all of them, and then 0."""
    chosen = np.linspace(STEPS - 1, 0, steps).round().astype(int)
    return np.append(noise_levels()[chosen], 0.0)


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
    noise: Any,
    *,
    steps: int,
    stochasticity: float,
    done: Callable[[], None] = lambda: None,
) -> Tensor:
    """Sample a conformation of each molecule.

    Parameters
    ----------
    network : torch.nn.Module
    graphs : Graphs
    noise : callable
        Returns standard normals of shape (atoms, 3), given the number of the draw, from 0.
    steps : int
        Number of noise levels.
    stochasticity : float
        Share of the noise that is drawn anew at each level: with 1 this is DDPM; with 0 (DDIM)
        a conformation follows from the first draw alone.
    done : callable
        Called after each noise level.

    Returns
    -------
    Tensor, shape (atoms, 3)
        Positions in ångström.
    """
    levels = sampling_levels(steps).tolist()
    positions = levels[0] * graphs.centred(noise(0))
    for number, (now, then) in enumerate(pairwise(levels), start=1):
        sigma = positions.new_full((graphs.molecules,), now)
        predicted = _shortened(network(graphs, positions, sigma))
        clean = graphs.centred(positions - now * predicted)
        fresh = stochasticity * then / now * (now**2 - then**2) ** 0.5
        positions = clean + (then**2 - fresh**2) ** 0.5 * predicted
        if fresh > 0:
            positions = positions + fresh * graphs.centred(noise(number))
        done()
    return positions


def _shortened(noise: Tensor) -> Tensor:
    """Shorten vectors to a length of at most `LONGEST`."""
    lengths = noise.norm(dim=-1, keepdim=True)
    return noise * (LONGEST / lengths.clamp(min=LONGEST))
