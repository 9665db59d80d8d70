"""Generated conformations laid over real ones."""

from __future__ import annotations

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdMolAlign

from collapse.data import rdkit_molecules
from collapse.data.molecules import Conformations
from collapse.families.molecule_diffusion.coverage import MOST_MATCHES
from collapse.families.molecule_diffusion.pictures import Array, Portrait


def portrait(samples: Conformations, real: Conformations) -> Portrait:
    """Lay each sample over the real conformation of its row, as near as it comes.

    The network sees distances alone and can't tell a molecule from its mirror image, so the
    nearer of both is taken.
    """
    aligned, distances = [], []
    for row in range(samples.size):
        generated, distance = _aligned(samples, real, row)
        aligned.append(generated)
        distances.append(distance)
    return Portrait(
        smiles=np.array(samples.smiles, dtype=str),
        atoms=samples.atoms,
        bonds=samples.bonds,
        atom_bounds=samples.atom_bounds,
        bond_bounds=samples.bond_bounds,
        real=real.positions.astype(np.float64),
        generated=np.concatenate(aligned),
        distances=np.array(distances),
    )


def _aligned(samples: Conformations, real: Conformations, row: int) -> tuple[Array, float]:
    """Return the positions of a sample next to the real ones, and the distance of heavy atoms."""
    reference = Chem.RemoveHs(rdkit_molecules.to_rdkit(real, [row]))
    found = []
    for mirror in (1.0, -1.0):
        one = samples.take(np.array([row]))
        one = one._replace(positions=one.positions * np.array([mirror, 1, 1], np.float32))
        distance, transform, *_ = rdMolAlign.GetBestAlignmentTransform(
            Chem.RemoveHs(rdkit_molecules.to_rdkit(one, [0])), reference, maxMatches=MOST_MATCHES
        )
        moved = one.positions @ transform[:3, :3].T + transform[:3, 3]
        found.append((float(distance), moved))
    distance, moved = min(found, key=lambda each: each[0])
    return moved, distance
