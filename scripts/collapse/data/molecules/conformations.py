"""Conformations of molecules: graphs with positions, in arrays and in Parquet.

A row of a file is one conformation with its graph, so that a shard can be read on its own. A
bond has its Kekulé order, from which RDKit's molecule is built again, even without hydrogens,
and a mark of whether it is aromatic, which is what a network should see.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
from numpy.typing import NDArray

from collapse.artifacts import columns, remedies, shard_rows

#: Elements of GEOM-Drugs: H, B, C, N, O, F, Al, Si, P, S, Cl, As, Br, I, Hg, Bi.
ELEMENTS = (1, 5, 6, 7, 8, 9, 13, 14, 15, 16, 17, 33, 35, 53, 80, 83)

SINGLE, DOUBLE, TRIPLE, AROMATIC = 1, 2, 3, 4

SCHEMA = pa.schema(
    {
        "molecule": pa.int32(),
        "smiles": pa.string(),
        "atoms": pa.list_(pa.uint8()),
        "charges": pa.list_(pa.int8()),
        "bonds": pa.list_(pa.uint16()),
        "orders": pa.list_(pa.uint8()),
        "aromatic": pa.list_(pa.uint8()),
        "positions": pa.list_(pa.float32()),
    }
)


class Conformations(NamedTuple):
    """Conformations end to end.

    Conformation i has the atoms ``atom_bounds[i]`` to ``atom_bounds[i + 1]``, and bonds likewise.

    Attributes
    ----------
    molecule : ndarray of int32, shape (conformations,)
        Number of the molecule of each conformation.
    smiles : ndarray of str, shape (conformations,)
        Canonical SMILES, for people to read.
    atoms, charges : ndarray, shape (atoms,)
        Atomic numbers and formal charges.
    positions : ndarray of float32, shape (atoms, 3)
        Positions in ångström.
    bonds : ndarray of uint16, shape (bonds, 2)
        The two atoms of each bond, counted from the conformation's first.
    orders, aromatic : ndarray of uint8, shape (bonds,)
        Kekulé order of each bond, and whether it is aromatic.
    """

    molecule: NDArray[np.int32]
    smiles: NDArray[Any]
    atoms: NDArray[np.uint8]
    charges: NDArray[np.int8]
    positions: NDArray[np.float32]
    atom_bounds: NDArray[np.int64]
    bonds: NDArray[np.uint16]
    orders: NDArray[np.uint8]
    aromatic: NDArray[np.uint8]
    bond_bounds: NDArray[np.int64]

    @property
    def size(self) -> int:
        """Number of conformations."""
        return len(self.molecule)

    @property
    def atom_counts(self) -> NDArray[np.int64]:
        """Number of atoms of each conformation."""
        return np.diff(self.atom_bounds)

    def take(self, rows: NDArray[np.int64]) -> Conformations:
        """Return some conformations, in the given order."""
        atoms, atom_bounds = _spans(self.atom_bounds, rows)
        bonds, bond_bounds = _spans(self.bond_bounds, rows)
        return Conformations(
            self.molecule[rows],
            self.smiles[rows],
            self.atoms[atoms],
            self.charges[atoms],
            self.positions[atoms],
            atom_bounds,
            self.bonds[bonds],
            self.orders[bonds],
            self.aromatic[bonds],
            bond_bounds,
        )


def _spans(
    bounds: NDArray[np.int64], rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the indices of the atoms or bonds of some rows, end to end, and their new bounds."""
    lengths = bounds[rows + 1] - bounds[rows]
    new = np.concatenate(([0], np.cumsum(lengths)))
    return np.arange(new[-1]) + np.repeat(bounds[rows] - new[:-1], lengths), new


def concatenate(parts: Sequence[Conformations]) -> Conformations:
    """Put conformations end to end."""
    joined = {}
    for name in Conformations._fields:
        values = [getattr(part, name) for part in parts]
        if name.endswith("bounds"):
            lengths = np.concatenate([np.diff(one) for one in values])
            joined[name] = np.concatenate(([0], np.cumsum(lengths)))
        else:
            joined[name] = np.concatenate(values)
    return Conformations(**joined)


def padded(conformations: Conformations, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Return one conformation a row, padded to the largest of them.

    Returns
    -------
    dict of str to ndarray
        ``atoms`` (rows, width): atomic numbers, 0 for padding; ``positions`` (rows, width, 3);
        ``bonds`` (rows, width, width): the order from 1 to 3, 4 for aromatic, 0 for none.
    """
    chosen = conformations.take(rows)
    count, width = len(rows), int(chosen.atom_counts.max())
    row = np.repeat(np.arange(count), chosen.atom_counts)
    column = np.arange(len(row)) - chosen.atom_bounds[row]
    atoms = np.zeros((count, width), np.int64)
    atoms[row, column] = chosen.atoms
    positions = np.zeros((count, width, 3), np.float32)
    positions[row, column] = chosen.positions
    bonds = np.zeros((count, width, width), np.uint8)
    row = np.repeat(np.arange(count), np.diff(chosen.bond_bounds))
    begin, end = chosen.bonds.T
    bonds[row, begin, end] = bonds[row, end, begin] = np.where(
        chosen.aromatic > 0, AROMATIC, chosen.orders
    )
    return {"atoms": atoms, "positions": positions, "bonds": bonds}


def write(path: Path, conformations: Conformations) -> None:
    """Write conformations as Parquet."""

    def ragged(bounds: NDArray[np.int64], values: NDArray[Any], each: int = 1) -> pa.Array:
        return columns.lists(bounds * each, values.ravel())

    of_atoms, of_bonds = conformations.atom_bounds, conformations.bond_bounds
    arrays = [
        columns.numbers(conformations.molecule),
        columns.strings(list(conformations.smiles)),
        ragged(of_atoms, conformations.atoms),
        ragged(of_atoms, conformations.charges),
        ragged(of_bonds, conformations.bonds, 2),
        ragged(of_bonds, conformations.orders),
        ragged(of_bonds, conformations.aromatic),
        ragged(of_atoms, conformations.positions, 3),
    ]
    parquet.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA), path, compression="zstd")


def read(path: Path, rows: NDArray[np.int64] | None = None) -> Conformations:
    """Read the conformations in all or some rows of a file.

    Raises
    ------
    DamagedFileError
        If the file holds no conformations.
    """
    table = pa.concat_tables(shard_rows.read(path, None, SCHEMA.names))
    if table.schema != SCHEMA:
        there = ", ".join(f"{field.name}: {field.type}" for field in table.schema)
        raise remedies.damaged(path, f"found {there}, expected conformations")
    flat, bounds = {}, {}
    for name in SCHEMA.names[2:]:
        column = table[name].combine_chunks()
        flat[name] = columns.array(column.flatten())
        lengths = columns.array(column.value_lengths()).astype(np.int64)
        bounds[name] = np.concatenate(([0], np.cumsum(lengths)))
    found = Conformations(
        columns.array(table["molecule"]),
        columns.array(table["smiles"]),
        flat["atoms"],
        flat["charges"],
        flat["positions"].reshape(-1, 3),
        bounds["atoms"],
        flat["bonds"].reshape(-1, 2),
        flat["orders"],
        flat["aromatic"],
        bounds["orders"],
    )
    return found if rows is None else found.take(rows)
