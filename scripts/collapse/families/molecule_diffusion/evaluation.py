"""Metrics of a network on real test conformations, and metrics of its samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from collapse.data.molecules import conformations
from collapse.data.molecules.conformations import Conformations
from collapse.families.molecule_diffusion import (
    Parameters,
    coverage,
    diffusion,
    generation,
    geometry,
    samplers,
)
from collapse.families.molecule_diffusion.graphs import graphs

#: Number of noise levels at which each test conformation is evaluated, evenly over all of them.
TEST_LEVELS = 8
#: Number of conformations that are evaluated at once.
BATCH = 64


@torch.no_grad()
def test_loss(network: Any, test: Conformations) -> float:
    """Return the mean over atoms of the squared error of the predicted noise.

    The noise and its levels are the same for every network, so that losses can be compared.
    """
    device = next(network.parameters()).device
    levels = samplers.noise_levels()
    total = 0.0
    for start in range(0, test.size, BATCH):
        rows = conformations.padded(test, np.arange(start, min(start + BATCH, test.size)))
        batch = {name: torch.from_numpy(values).to(device) for name, values in rows.items()}
        found = graphs(batch)
        generator = np.random.default_rng([start])
        for level in range(TEST_LEVELS):
            even = (level + generator.random(found.molecules)) / TEST_LEVELS
            sigma = levels[(even * samplers.STEPS).astype(int)].astype(np.float32)
            noise = generator.standard_normal(rows["positions"].shape, dtype=np.float32)
            errors = diffusion.squared_errors(
                network,
                found,
                found.flat(batch["positions"]),
                found.flat(torch.from_numpy(noise).to(device)),
                torch.from_numpy(sigma).to(device),
            )
            total += float(errors.double().sum())
    return total / (TEST_LEVELS * len(test.atoms))


def of_samples(samples: Conformations, real: Conformations) -> dict[str, float]:
    """Return metrics of generated conformations, given the real ones of the same molecules.

    ``..._of_data`` are the distances of as many perfect samples, which are not zero. Real
    conformations that occur several times are given once.
    """
    slots = real.take(np.arange(samples.size) % real.size)
    return {
        "bond_length_distance": geometry.distance(
            geometry.bond_lengths(samples), geometry.bond_lengths(slots)
        ),
        "bond_length_distance_of_data": _by_chance(real, geometry.bond_lengths, samples.size),
        "angle_distance": geometry.distance(geometry.angles(samples), geometry.angles(slots)),
        "angle_distance_of_data": _by_chance(real, geometry.angles, samples.size),
        "sane_share": float(np.mean(geometry.sane(samples))),
    }


def _by_chance(
    real: Conformations, measure: Callable[[Conformations], geometry.Measured], size: int
) -> float:
    """Return the distance between two independent sets of real conformations of a size.

    Such distances fall as the root of the size. So that of two halves, which have the same number
    of conformations of every molecule, is scaled; without any molecule of two it is NaN.
    """
    order = np.argsort(real.molecule, kind="stable")
    _, first, held = np.unique(real.molecule[order], return_index=True, return_counts=True)
    rank = np.arange(real.size) - np.repeat(first, held)
    paired = rank < np.repeat(held // 2 * 2, held)
    one, other = (order[paired & (rank % 2 == half)] for half in (0, 1))
    if not len(one):
        return float("nan")
    found = geometry.distance(measure(real.take(one)), measure(real.take(other)))
    return found * float(np.sqrt(len(one) / size))


def of_test_molecules(
    network: Any, test: Conformations, parameters: Parameters, *, seed: int, threads: int
) -> dict[str, float]:
    """Generate two conformations for each real one of some test molecules, and compare them.

    These are the first test molecules, as many as ``judged`` allows for, but at least one.
    """
    chosen = test.take(_first_molecules(test, parameters.judged // 2))
    twice = np.repeat(np.arange(chosen.size), 2)
    generated = generation.generate(
        network,
        lambda slots: chosen.take(twice[slots]),
        range(len(twice)),
        cycle=len(twice),
        seeds=[seed],
        parameters=parameters,
    )
    return coverage.compare(chosen, generated, threshold=parameters.threshold, threads=threads)


def _first_molecules(test: Conformations, most: int) -> NDArray[np.int64]:
    """Return the rows of the first molecules that have at most ``most`` rows in all, or of one."""
    _, first, number = np.unique(test.molecule, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))[number]  # of each row's molecule, in the file's order
    held = np.cumsum(np.bincount(rank))
    taken = max(1, int(np.searchsorted(held, most, side="right")))
    return np.nonzero(rank < taken)[0]
