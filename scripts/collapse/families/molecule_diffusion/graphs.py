"""Padded rows of molecules as one flat graph, and the pairs of atoms in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch_geometric.utils import scatter

from collapse.families.molecule_diffusion.architectures import PAIRS

#: What padding is in the rows of `collapse.data.molecules.conformations.padded`.
NONE = 0


class Graphs(NamedTuple):
    """Molecules as one graph of which they are the components.

    Attributes
    ----------
    atoms : Tensor, shape (atoms,)
        Atomic numbers.
    molecule : Tensor, shape (atoms,)
        Which molecule each atom is of.
    molecules : int
        How many.
    pairs : Tensor, shape (2, pairs)
        All ordered pairs of different atoms of the same molecule.
    kinds : Tensor, shape (pairs,)
        What they are to each other: 1 to 4 a bond, 5 and 6 two and three bonds apart, else 0.
    inside : Tensor of bool, shape (rows, width)
        Where in padded rows there are atoms.
    """

    atoms: Tensor
    molecule: Tensor
    molecules: int
    pairs: Tensor
    kinds: Tensor
    inside: Tensor

    def flat(self, padded: Tensor) -> Tensor:
        """Return what padded rows hold of each atom."""
        return padded[self.inside]

    def centred(self, values: Tensor) -> Tensor:
        """Move each molecule's values, of shape (atoms, 3), to mean zero."""
        means = scatter(values, self.molecule, dim=0, dim_size=self.molecules, reduce="mean")
        return values - means[self.molecule]


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
    """Return what each pair is to each other: bonds, extended to two and three of them."""
    bonded = (bonds > 0).float()
    kinds = bonds.long()
    reached, walks = bonds > 0, bonded
    for kind in range(PAIRS - 2, PAIRS):
        walks = torch.bmm(walks, bonded)
        new = (walks > 0) & ~reached
        kinds = torch.where(new, kind, kinds)
        reached = reached | new
    return kinds
