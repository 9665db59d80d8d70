"""Conversion between conformations in arrays and molecules of RDKit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from collapse.data.molecules.conformations import ELEMENTS, Conformations

_ORDERS = {
    Chem.BondType.SINGLE: 1,
    Chem.BondType.DOUBLE: 2,
    Chem.BondType.TRIPLE: 3,
}
#: Usual length of a bond over the sum of the covalent radii.
_SHORTENING = {
    Chem.BondType.SINGLE: 1.0,
    Chem.BondType.DOUBLE: 0.87,
    Chem.BondType.TRIPLE: 0.78,
    Chem.BondType.AROMATIC: 0.91,
}
#: Largest root mean square distance from a plane, in ångström, of positions that are flat.
FLAT = 0.01
#: C, Si, P, S: with single bonds to three others they are never flat.
_PYRAMIDAL = {6, 14, 15, 16}
_KNOWN = {*_ORDERS, Chem.BondType.AROMATIC}
_TYPES = {order: kind for kind, order in _ORDERS.items()}


def problem(molecule: Any, most_atoms: int | None) -> str | None:
    """Return the reason why a molecule can't be used, with what was found, or None if it can.

    The number of atoms is checked unless ``most_atoms`` is None.
    """
    if molecule is None:
        return "unparsable: RDKit can't parse it"
    if most_atoms is not None and (found := size_problem(molecule, most_atoms)) is not None:
        return found
    fragments = len(Chem.GetMolFrags(molecule))
    if fragments > 1:
        return f"fragments: {fragments} disconnected parts, expected one"
    unknown = sorted(
        {atom.GetSymbol() for atom in molecule.GetAtoms() if atom.GetAtomicNum() not in ELEMENTS}
    )
    if unknown:
        return f"elements: {', '.join(unknown)}, expected elements of GEOM-Drugs"
    if not all(bond.GetBondType() in _KNOWN for bond in molecule.GetBonds()):
        return "bonds: of an unknown kind, expected single, double, triple or aromatic ones"
    conformers = molecule.GetConformers()
    if not conformers or not all(map(_is_spatial, conformers)):
        return "conformation: no positions in space"
    if any(_is_drawn(molecule, conformer.GetPositions()) for conformer in conformers):
        return "conformation: flat as a drawing, expected positions in space"
    return None


def size_problem(molecule: Any, most_atoms: int) -> str | None:
    """Return the reason why a molecule is too large or too small, or None if it is neither."""
    size = molecule.GetNumAtoms()
    return None if 2 <= size <= most_atoms else f"size: {size} atoms, expected 2 to {most_atoms}"


def _is_spatial(conformer: Any) -> bool:
    """Tell whether all positions are finite and no two atoms are at the same place."""
    positions = conformer.GetPositions()
    if not conformer.Is3D() or not np.isfinite(positions).all():
        return False
    return len(np.unique(positions.round(3), axis=0)) == len(positions)


def _is_drawn(molecule: Any, positions: NDArray[np.float64]) -> bool:
    """Tell whether positions are those of a drawing, whatever the header of its entry says.

    Molecules may be flat, but not at a carbon with single bonds to three others, and in drawings
    all bonds have one length: those to hydrogens are too long.
    """
    centred = positions - positions.mean(axis=0)
    thickness = np.linalg.svd(centred, compute_uv=False)[-1] if len(centred) > 2 else 0.0
    if thickness > FLAT * len(centred) ** 0.5:
        return False
    aligned = len(positions) > 2 and np.ptp(positions, axis=0).min() < 1e-4
    for atom in molecule.GetAtoms():
        tetrahedral = atom.GetHybridization() == Chem.HybridizationType.SP3
        if (tetrahedral and not atom.GetNumRadicalElectrons()) and (
            atom.GetDegree() >= (3 if atom.GetAtomicNum() in _PYRAMIDAL else 4)
            or (aligned and atom.GetTotalNumHs() > 0)
        ):
            return True
    radius = Chem.GetPeriodicTable().GetRcovalent
    stretches = []
    for bond in molecule.GetBonds():
        begin, end = bond.GetBeginAtom(), bond.GetEndAtom()
        usual = radius(begin.GetAtomicNum()) + radius(end.GetAtomicNum())
        usual *= _SHORTENING[bond.GetBondType()]
        length = np.linalg.norm(positions[begin.GetIdx()] - positions[end.GetIdx()])
        stretches.append(length / usual)
    tolerance = 0.08 if len(positions) > 3 else 0.25
    return bool(abs(np.mean(stretches) - 1) > tolerance)


def without_hydrogens(molecule: Any) -> Any:
    """Return a molecule without any hydrogen, also those that mark the stereochemistry of a bond.

    Raises an exception of RDKit if nothing valid is left.
    """
    return Chem.RemoveAllHs(molecule)


def graph_name(molecule: Any) -> str:
    """Return the SMILES of what stays the same on both sides of a split.

    It has no stereochemistry, isotopes, map numbers and hydrogens, none of which is trained on
    or else is in the positions alone.
    """
    bare = Chem.Mol(molecule, True)  # without conformations
    Chem.RemoveStereochemistry(bare)
    for atom in bare.GetAtoms():
        atom.SetIsotope(0)
        atom.SetAtomMapNum(0)
    return str(Chem.MolToSmiles(without_hydrogens(bare), isomericSmiles=False))


def labelled_graph(molecule: Any) -> tuple[tuple[Any, ...], ...]:
    """Return the atoms of a molecule in its own order, and the bonds between them."""
    atoms = [atom.GetAtomicNum() for atom in molecule.GetAtoms()]
    bonds = [
        (*sorted((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())), int(bond.GetBondType()))
        for bond in molecule.GetBonds()
    ]
    return tuple(atoms), tuple(sorted(bonds))


def in_order_of(first: Any, molecule: Any) -> Any:
    """Return a molecule with its atoms in the order of another one, if they are of one graph."""
    if labelled_graph(first) == labelled_graph(molecule):
        return molecule
    match = molecule.GetSubstructMatch(first)
    if len(match) != molecule.GetNumAtoms():
        return molecule
    return Chem.RenumberAtoms(molecule, match)


def to_arrays(molecules: Iterable[tuple[int, Any]]) -> Conformations:
    """Return all conformations of molecules, which are given with their numbers."""
    columns: dict[str, list[Any]] = {name: [] for name in Conformations._fields}
    for number, molecule in molecules:
        kekulised = Chem.Mol(molecule)
        Chem.Kekulize(kekulised)
        atoms = [atom.GetAtomicNum() for atom in molecule.GetAtoms()]
        charges = [atom.GetFormalCharge() for atom in molecule.GetAtoms()]
        bonds = [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in molecule.GetBonds()]
        orders = [_ORDERS[bond.GetBondType()] for bond in kekulised.GetBonds()]
        aromatic = [bond.GetIsAromatic() for bond in molecule.GetBonds()]
        smiles = Chem.MolToSmiles(Chem.RemoveHs(molecule))
        for conformer in molecule.GetConformers():
            columns["molecule"].append(number)
            columns["smiles"].append(smiles)
            columns["atoms"].append(atoms)
            columns["charges"].append(charges)
            columns["positions"].append(conformer.GetPositions())
            columns["bonds"].append(bonds)
            columns["orders"].append(orders)
            columns["aromatic"].append(aromatic)

    def flat(name: str, kind: Any, *shape: int) -> NDArray[Any]:
        parts = [np.asarray(one, kind).reshape(-1, *shape) for one in columns[name]]
        return np.concatenate([np.zeros((0, *shape), kind), *parts])

    def bounds(name: str) -> NDArray[np.int64]:
        return np.concatenate(([0], np.cumsum([len(one) for one in columns[name]]))).astype(
            np.int64
        )

    return Conformations(
        np.array(columns["molecule"], np.int32),
        np.array(columns["smiles"], object),
        flat("atoms", np.uint8),
        flat("charges", np.int8),
        flat("positions", np.float32, 3),
        bounds("atoms"),
        flat("bonds", np.uint16, 2),
        flat("orders", np.uint8),
        flat("aromatic", np.uint8),
        bounds("orders"),
    )


def to_rdkit(conformations: Conformations, rows: Sequence[int] | NDArray[np.int64]) -> Any:
    """Return a molecule with some of its conformations.

    Parameters
    ----------
    conformations : Conformations
        Conformations, of which ``rows`` must have the same graph.
    rows : sequence of int
        Rows of the molecule, at least one; its conformations are numbered anew from 0.
    """
    graph = conformations.take(np.asarray(rows[:1]))
    molecule = Chem.RWMol()
    for number, charge in zip(graph.atoms.tolist(), graph.charges.tolist(), strict=True):
        atom = Chem.Atom(number)
        atom.SetFormalCharge(charge)
        molecule.AddAtom(atom)
    for (begin, end), order in zip(graph.bonds.tolist(), graph.orders.tolist(), strict=True):
        molecule.AddBond(begin, end, _TYPES[order])
    for row in rows:
        span = slice(conformations.atom_bounds[row], conformations.atom_bounds[row + 1])
        conformer = Chem.Conformer(molecule.GetNumAtoms())
        conformer.SetPositions(conformations.positions[span].astype(np.float64))
        molecule.AddConformer(conformer, assignId=True)
    built = molecule.GetMol()
    Chem.SanitizeMol(built)
    return built
