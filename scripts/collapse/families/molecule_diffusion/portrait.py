"""The portrait of an iteration: evaluation writes it, pictures show it without torch or RDKit."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Number of molecules that are shown of an iteration.
SHOWN = 3


class Portrait(NamedTuple):
    """Molecules one after the other, as in `Conformations`.

    Attributes
    ----------
    smiles : ndarray of str, shape (molecules,)
    atoms, bonds, atom_bounds, bond_bounds : ndarray
        Graphs of the molecules.
    real, generated : ndarray, shape (atoms, 3)
        Positions in ångström; the generated ones are aligned with the real ones.
    distances : ndarray, shape (molecules,)
        RMSD between the heavy atoms of the two, in ångström.
    """

    smiles: NDArray[np.str_]
    atoms: NDArray[np.uint8]
    bonds: NDArray[np.uint16]
    atom_bounds: NDArray[np.int64]
    bond_bounds: NDArray[np.int64]
    real: Array
    generated: Array
    distances: Array
