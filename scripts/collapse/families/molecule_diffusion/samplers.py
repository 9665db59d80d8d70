"""Samplers of diffusion models: the noise levels that they step through, and their updates.

A sampler is a list of updates, each linear in the positions, in the network's prediction of the
clean positions, and in fresh noise. Sampling applies them to a network (`diffusion.sample`), and
`kept_variance` applies them to a distribution whose best prediction is known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Those of GeoDiff (docs/reproduction.md, "Molecular diffusion on GEOM-Drugs").
STEPS, LOWEST_BETA, HIGHEST_BETA = 5000, 1e-7, 2e-3

Sampler = Literal["dpm-solver++", "ddpm"]

#: Standard deviations in ångström, between conformations of a molecule, of what each name stands
#: for: bond lengths, distances across a bond angle, and the places of atoms that torsions move.
SPREADS = {"bonds": 0.03, "angles": 0.1, "shapes": 1.5}


class Update(NamedTuple):
    """An update of noisy positions x from the noise level ``now`` to ``then``.

    With the prediction D of the clean positions, the one before it, D', and normals z the new
    positions are keep·x + clean·D + change·(D - D') + noise·z.
    """

    now: float
    then: float
    keep: float
    clean: float
    change: float
    noise: float


def betas() -> NDArray[np.float64]:
    """Return the variances β_t, which rise in a sigmoid from the lowest to the highest."""
    rising = 1 / (1 + np.exp(-np.linspace(-6, 6, STEPS)))
    return LOWEST_BETA + (HIGHEST_BETA - LOWEST_BETA) * rising


def noise_levels() -> NDArray[np.float64]:
    """Return the standard deviations σ_t of the noise, in ångström."""
    kept = np.cumprod(1 - betas())
    return np.sqrt((1 - kept) / kept)


def sampling_levels(sampler: Sampler, steps: int) -> NDArray[np.float64]:
    """Return falling noise levels for sampling, from the highest to the lowest, and then 0.

    Those of ``ddpm`` are evenly spaced among all levels, and those of ``dpm-solver++`` by their
    logarithms, so that levels near the length of any structure are as many.
    """
    levels = noise_levels()
    if sampler == "ddpm":
        chosen = levels[np.linspace(STEPS - 1, 0, steps).round().astype(int)]
    else:
        chosen = np.geomspace(levels[-1], levels[0], steps)
    return np.append(chosen, 0.0)


def updates(sampler: Sampler, steps: int, stochasticity: float) -> list[Update]:
    """Return the updates of a sampler, each of which takes one prediction of the network.

    Parameters
    ----------
    sampler : {"dpm-solver++", "ddpm"}
        ``ddpm`` takes the predicted noise to be constant between two levels, which is of first
        order; ``dpm-solver++`` takes the prediction of the clean positions to be linear in the
        logarithm of the level (second order; DPM-Solver++(2M), Lu et al. 2022, arXiv 2211.01095).
    steps : int
        Number of noise levels.
    stochasticity : float
        Share of the noise that is drawn anew at each level: with 0 these are the solvers of the
        ordinary differential equation (DDIM), with 1 of the stochastic one (DDPM).
    """
    levels = sampling_levels(sampler, steps).tolist()
    found: list[Update] = []
    for now, then in pairwise(levels):
        if then == 0:  # the prediction itself
            found.append(Update(now, then, 0.0, 1.0, 0.0, 0.0))
        elif sampler == "ddpm":
            noise = stochasticity * then / now * math.sqrt(now**2 - then**2)
            keep = math.sqrt(then**2 - noise**2) / now
            found.append(Update(now, then, keep, 1 - keep, 0.0, noise))
        else:
            step = math.log(now / then)
            clean = -math.expm1(-(1 + stochasticity) * step)
            noise = then * math.sqrt(-math.expm1(-2 * stochasticity * step))
            before = math.log(found[-1].now / now) if found else math.inf
            change = clean * step / (2 * before)
            found.append(Update(now, then, 1 - clean, clean, change, noise))
    return found


def kept_variance(found: Sequence[Update], spread: float) -> float:
    """Return the share of the variance of normal positions that sampling keeps.

    The network is replaced by the best prediction there is, so that what is lost, the sampler
    loses; equation (4) of ``docs/theory/diffusion.md``.

    Parameters
    ----------
    found : sequence of Update
    spread : float
        Standard deviation of the clean positions, in ångström.
    """
    # Positions are linear in the noise of all draws; these are the coefficients.
    positions = np.zeros(len(found) + 1)
    positions[0] = found[0].now
    before = np.zeros_like(positions)
    for number, one in enumerate(found, start=1):
        clean = positions * spread**2 / (spread**2 + one.now**2)
        positions = one.keep * positions + one.clean * clean + one.change * (clean - before)
        positions[number] += one.noise
        before = clean
    return float(positions @ positions) / spread**2
