"""The graph of a batch of molecules, built from padded rows, with all pairs of atoms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from collapse.families.molecule_diffusion.architectures import PAIRS
from collapse.families.molecule_diffusion.layers import means

#: Atomic number of the padding of `collapse.data.molecules.conformations.padded`.
NONE = 0


class Graphs(NamedTuple):
    """Molecules as one graph of which they are the components.

    Attributes
    ----------
    atoms : Tensor, shape (atoms,)
        Atomic numbers.
    molecule : Tensor, shape (atoms,)
        Number of the molecule that each atom belongs to.
    molecules : int
        Number of molecules.
    pairs : Tensor, shape (2, pairs)
        All ordered pairs of different atoms of the same molecule.
    kinds : Tensor, shape (pairs,)
        Their relation: 1 to 4 for a bond, 5 or 6 for two or three bonds apart, else 0.
    inside : Tensor of bool, shape (rows, width)
        True where padded rows have an atom.
    """

    atoms: Tensor
    molecule: Tensor
    molecules: int
    pairs: Tensor
    kinds: Tensor
    inside: Tensor

    def flat(self, padded: Tensor) -> Tensor:
        """Return the values of the atoms in padded rows."""
        return padded[self.inside]

    def centred(self, values: Tensor) -> Tensor:
        """Return values of shape (atoms, 3), shifted to mean zero in each molecule."""
        return values - means(values, self.molecule, self.molecules)[self.molecule]


def graphs(rows: Mapping[str, Tensor]) -> Graphs:
    """Return the graph of padded ``atoms`` and ``bonds`` (`conformations.padded`)."""
    atoms, bonds = rows["atoms"], rows["bonds"]
    inside = atoms != NONE
    number = inside.flatten().cumsum(0).reshape(inside.shape) - 1
    same = inside[:, :, None] & inside[:, None, :]
    same &= ~torch.eye(atoms.shape[1], dtype=torch.bool, device=atoms.device)
    row, first, second = same.nonzero(as_tuple=True)
    return Graphs(
        atoms=atoms[inside],
        molecule=inside.nonzero()[:, 0],
        molecules=len(atoms),
        pairs=torch.stack((number[row, first], number[row, second])),
        kinds=_kinds(bonds)[row, first, second],
        inside=inside,
    )


def _kinds(bonds: Tensor) -> Tensor:
    """Return the relation of each two atoms: a bond, or a path of two or three bonds."""
    bonded = (bonds > 0).float()
    kinds = bonds.long()
    reached, walks = bonds > 0, bonded
    for kind in range(PAIRS - 2, PAIRS):
        walks = torch.bmm(walks, bonded)
        new = (walks > 0) & ~reached
        kinds = torch.where(new, kind, kinds)
        reached = reached | new
    return kinds
