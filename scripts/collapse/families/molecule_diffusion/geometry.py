"""Bond lengths, bond angles, and whether a conformation is chemically sane."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdDistGeom

from collapse.data.molecules import rdkit_conversion
from collapse.data.molecules.conformations import AROMATIC, Conformations

Array = NDArray[np.float64]

#: Relative tolerances of PoseBusters (Buttenschoen et al. 2024) for RDKit's distance bounds: for
#: atoms that are bonded or have a common neighbour, and for all others, which must not clash.
BONDED, CLASH = 0.25, 0.3


class Measured(NamedTuple):
    """Bond lengths or angles, and the kind of each, a number for its elements and bond order."""

    values: Array
    kinds: NDArray[np.int64]


def bond_lengths(conformations: Conformations) -> Measured:
    """Return all bond lengths, in ångström; a kind is two elements and an order."""
    begin, end = _bonds(conformations)
    positions, atoms = conformations.positions.astype(np.float64), conformations.atoms.astype(int)
    values = np.linalg.norm(positions[begin] - positions[end], axis=1)
    orders = np.where(conformations.aromatic > 0, AROMATIC, conformations.orders).astype(int)
    low, high = np.sort((atoms[begin], atoms[end]), axis=0)
    return Measured(values, (low * 256 + high) * 256 + orders)


def angles(conformations: Conformations) -> Measured:
    """Return the angles between all bonds of an atom, in degrees; a kind is three elements."""
    begin, end = _bonds(conformations)
    centre, other = np.concatenate((begin, end)), np.concatenate((end, begin))
    order = np.argsort(centre, kind="stable")
    centre, other = centre[order], other[order]
    # Each neighbour of an atom is paired with those that follow it.
    following = np.searchsorted(centre, centre, side="right") - np.arange(len(centre)) - 1
    first = np.repeat(np.arange(len(centre)), following)
    second = (
        first + 1 + np.arange(len(first)) - np.repeat(np.cumsum(following) - following, following)
    )
    positions, atoms = conformations.positions.astype(np.float64), conformations.atoms.astype(int)
    one, two = (positions[other[each]] - positions[centre[first]] for each in (first, second))
    across = np.linalg.norm(np.cross(one, two), axis=1)
    values = np.degrees(np.arctan2(across, (one * two).sum(axis=1)))
    low, high = np.sort((atoms[other[first]], atoms[other[second]]), axis=0)
    return Measured(values, (low * 256 + high) * 256 + atoms[centre[first]])


def _bonds(conformations: Conformations) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return both atoms of every bond, as positions among the atoms of all conformations."""
    held = np.diff(conformations.bond_bounds)
    begin, end = conformations.bonds.astype(np.int64).T
    offset = np.repeat(conformations.atom_bounds[:-1], held)
    return begin + offset, end + offset


def distance(found: Measured, real: Measured) -> float:
    """Return the mean Wasserstein distance over kinds, weighted by their number in real data.

    A single distance for all kinds would miss short bonds of one kind and long ones of another.
    Without any kind it is NaN.
    """
    total, kinds = 0.0, np.unique(real.kinds)
    for kind in kinds:
        mine, theirs = found.values[found.kinds == kind], real.values[real.kinds == kind]
        total += len(theirs) * _wasserstein(mine, theirs)
    return total / len(real.values) if len(kinds) else float("nan")


def _wasserstein(found: Array, real: Array) -> float:
    """Return the integral of the absolute difference of two distribution functions.

    `scipy.stats.wasserstein_distance` gives the same, but takes a second to import.
    """
    every = np.sort(np.concatenate((found, real)))
    found_up_to, real_up_to = (
        np.searchsorted(np.sort(values), every[:-1], side="right") / len(values)
        for values in (found, real)
    )
    return float(np.vecdot(np.abs(found_up_to - real_up_to), np.diff(every)))


def sane(conformations: Conformations) -> NDArray[np.bool_]:
    """Tell which conformations have bonds and angles in bounds, and no atoms that clash."""
    return misplaced(conformations) == 0


def misplaced(conformations: Conformations) -> Array:
    """Return the share of the pairs of atoms of each conformation whose distance is out of bounds.

    Bounds are those of RDKit's distance geometry, tolerances those of PoseBusters.
    """
    found = np.zeros(conformations.size)
    for number in np.unique(conformations.molecule):
        rows = np.nonzero(conformations.molecule == number)[0]
        molecule = rdkit_conversion.to_rdkit(conformations, rows[:1])
        lower, upper = _bounds(molecule)
        positions = conformations.take(rows).positions.reshape(len(rows), -1, 3)
        pairs = np.triu_indices(positions.shape[1], 1)
        lengths = np.linalg.norm(positions[:, pairs[0]] - positions[:, pairs[1]], axis=-1)
        beyond = (lengths < lower[pairs]) | (lengths > upper[pairs]) | np.isnan(lengths)
        found[rows] = beyond.sum(axis=1) / max(1, beyond.shape[1])
    return found


def _bounds(molecule: Any) -> tuple[Array, Array]:
    """Return the least and the largest accepted distance of each two atoms, in ångström."""
    matrix = rdDistGeom.GetMoleculeBoundsMatrix(molecule)
    upper, lower = np.triu(matrix), np.tril(matrix).T
    close = Chem.GetDistanceMatrix(molecule) <= 2
    return (
        np.where(close, (1 - BONDED) * lower, (1 - CLASH) * lower),
        np.where(close, (1 + BONDED) * upper, np.inf),
    )
