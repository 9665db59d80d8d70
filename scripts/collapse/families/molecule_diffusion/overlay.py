"""Alignment of generated conformations with real ones, for pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdMolAlign

from collapse.data.molecules import conformations as molecules
from collapse.data.molecules import rdkit_conversion
from collapse.data.molecules.conformations import Conformations
from collapse.families.molecule_diffusion.coverage import MOST_MATCHES
from collapse.families.molecule_diffusion.portrait import Array, Portrait


def portrait(samples: Conformations, real: Conformations) -> Portrait:
    """Align each sample with the nearest real conformation of its molecule.

    The network sees distances alone and can't tell a molecule from its mirror image, so the
    nearer of both is shown. All are rotated like the molecule's first real conformation, so that
    pictures of a molecule can be compared.

    Parameters
    ----------
    samples, real : Conformations
        Conformations of the same molecule have the same number in both.
    """
    chosen, beneath, aligned, distances = [], [], [], []
    for row in range(samples.size):
        sample = samples.take(np.array([row]))
        of_molecule = real.take(np.nonzero(real.molecule == sample.molecule[0])[0])
        place, generated, distance = _nearest(sample, of_molecule)
        turn, _ = _alignment(of_molecule, place, of_molecule, 0)
        chosen.append(sample)
        beneath.append(_moved(_positions(of_molecule, place), turn))
        aligned.append(_moved(generated, turn))
        distances.append(distance)
    shown = molecules.concatenate(chosen)
    return Portrait(
        smiles=np.array(shown.smiles, dtype=str),
        atoms=shown.atoms,
        bonds=shown.bonds,
        atom_bounds=shown.atom_bounds,
        bond_bounds=shown.bond_bounds,
        real=np.concatenate(beneath),
        generated=np.concatenate(aligned),
        distances=np.array(distances),
    )


def _nearest(sample: Conformations, real: Conformations) -> tuple[int, Array, float]:
    """Return the row of the nearest real conformation, the aligned sample, and their distance."""
    best: tuple[int, Array, float] = (0, np.zeros(0), np.inf)
    for mirror in (1.0, -1.0):
        one = sample._replace(positions=sample.positions * np.array([mirror, 1, 1], np.float32))
        for place in range(real.size):
            transform, distance = _alignment(one, 0, real, place)
            if distance < best[2]:
                best = place, _moved(_positions(one, 0), transform), distance
    return best


def _alignment(
    moved: Conformations, row: int, reference: Conformations, place: int
) -> tuple[Array, float]:
    """Return the transformation that aligns the heavy atoms, and the distance that is left."""
    distance, transform, *_ = rdMolAlign.GetBestAlignmentTransform(
        _heavy(moved, row), _heavy(reference, place), maxMatches=MOST_MATCHES
    )
    return np.asarray(transform), float(distance)


def _heavy(conformations: Conformations, row: int) -> Any:
    return Chem.RemoveHs(rdkit_conversion.to_rdkit(conformations, [row]))


def _positions(conformations: Conformations, row: int) -> Array:
    return conformations.take(np.array([row])).positions.astype(np.float64)


def _moved(positions: Array, transform: Array) -> Array:
    moved: Array = positions @ transform[:3, :3].T + transform[:3, 3]
    return moved
