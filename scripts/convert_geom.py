"""Convert GEOM-Drugs, as GeoDiff publishes it, from pickles to SDF, once and by hand.

    .venv/bin/python scripts/convert_geom.py train_data_40k.pkl data/geom-drugs/train.sdf.gz
    .venv/bin/python scripts/convert_geom.py test_data_1k.pkl data/geom-drugs/test.sdf.gz -m 800 999

GeoDiff's script tests on the molecules 800 to 999 of its test file, counted from 0 in the order in
which their SMILES first appear in the file; `-m` converts these alone.

A pickle is a program, and loading one runs whatever its author put in. This script allows a
pickle only the few harmless names that these files need, and refuses all others. RDKit's reader
of binary molecules is among them, and was not made for hostile files. So convert only files
whose origin and checksum you know, in a container or an account where nothing else is at stake.
The workflow itself never opens a pickle.
"""

import argparse
import gzip
import io
import pickle
import sys
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rdkit import Chem, rdBase

sys.path.insert(0, str(Path(__file__).resolve().parent))

from collapse.artifacts import files
from collapse.data.reading import reading
from collapse.errors import DataError


class Record:
    """The attributes of a pickled object, in place of torch-geometric's classes."""

    def __setstate__(self, state: Any) -> None:
        """Keep the attributes, which newer versions hold in a store one level below."""
        content = dict(state[0] or {}, **(state[1] or {})) if isinstance(state, tuple) else state
        store = content.get("_store", content)
        if isinstance(store, Record):
            store = vars(store)
        self.__dict__.update(store.get("_mapping", store))


class PickledMolecule:
    """The bytes of a molecule, which RDKit unpacks when it is known to which entry they belong."""

    def __init__(self, *packed: bytes) -> None:
        self.packed = packed

    def __setstate__(self, state: object) -> None:
        """Ignore what else newer versions of RDKit pickle."""

    def molecule(self) -> Any:
        """Return the molecule of RDKit; raises an exception of RDKit if it is damaged."""
        return Chem.Mol(*self.packed)


def ignored(*arguments: object) -> None:
    """Return None for a tensor, since the molecule itself has the positions that are needed."""


#: All names that a pickle may use, and what each stands for.
ALLOWED: dict[tuple[str, str], Any] = {
    ("torch_geometric.data.data", "Data"): Record,
    ("torch_geometric.data.data", "DataEdgeAttr"): Record,
    ("torch_geometric.data.data", "DataTensorAttr"): Record,
    ("torch_geometric.data.storage", "GlobalStorage"): Record,
    ("rdkit.Chem.rdchem", "Mol"): PickledMolecule,
    ("rdkit.Chem", "Mol"): PickledMolecule,
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): ignored,
    ("torch.storage", "_load_from_bytes"): ignored,
}


class Reader(pickle.Unpickler):
    """Reads a pickle that uses only allowed names."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what a name in the pickle stands for."""
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not allowed")
        return ALLOWED[module, name]


def read(path: Path) -> list[Any]:
    """Return the entries of a pickled list, whose molecules are still packed."""
    with open(path, "rb") as file:
        content = io.BufferedReader(file)
        found = Reader(content).load()
        more = content.read(1)
    if not isinstance(found, list):
        raise DataError(f"{path}: found a {type(found).__name__}, expected a list")
    if not found:
        raise DataError(f"{path}: found an empty list, expected molecules")
    if more:
        raise DataError(f"{path}: found more behind the first list, expected one")
    return found


def blocks(where: str, entry: Any) -> Iterator[str]:
    """Yield an entry of SDF for each conformation of the molecule of an entry."""
    packed = getattr(entry, "rdmol", None)
    molecule = packed.molecule() if isinstance(packed, PickledMolecule) else None
    if molecule is None or not molecule.GetNumConformers():
        raise DataError(f"{where} has no molecule with a conformation")
    molecule.ClearProp("_Name")  # which may have several lines
    for conformer in molecule.GetConformers():
        if not conformer.Is3D() or not np.isfinite(conformer.GetPositions()).all():
            raise DataError(f"{where} has a conformation without positions in space")
        # Unless bonds have Kekulé orders, aromatic ones are read back differently.
        block = Chem.MolToMolBlock(molecule, confId=conformer.GetId(), kekulize=True)
        yield f"{block}$$$$\n"


def convert(source: Path, target: Path, chosen: range | None = None) -> int:
    """Write the conformations of a pickle as SDF, and return how many there are.

    ``chosen`` are the numbers of the molecules to write, from 0 in the order of the file; None
    means all.

    Raises
    ------
    DataError
        If the pickle or an entry can't be used; the message names it.
    """
    count = 0
    opened = gzip.open if target.suffix == ".gz" else open
    with (
        rdBase.BlockLogs(),
        files.whole(target) as partial,
        opened(partial, "wt", encoding="utf-8") as file,
        reading(source) as place,
    ):
        numbers: dict[str, int] = {}
        for number, entry in enumerate(read(source), start=1):
            place.record = f"entry {number}"
            smiles = str(getattr(entry, "smiles", number))
            of_molecule = numbers.setdefault(smiles, len(numbers))
            if chosen is not None and of_molecule not in chosen:
                continue
            for block in blocks(str(place), entry):
                file.write(block)
                count += 1
        if chosen is not None and len(numbers) < chosen.stop:
            raise DataError(
                f"{source}: found {len(numbers)} molecules, expected {chosen.stop} for --molecules"
            )
    return count


def main() -> int:
    """Convert one file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("source", type=Path, help="a pickle of GeoDiff's")
    parser.add_argument("target", type=Path, help="train.sdf.gz or test.sdf.gz of a folder")
    parser.add_argument(
        "-m",
        "--molecules",
        type=int,
        nargs=2,
        metavar=("FIRST", "LAST"),
        help="numbers of the first and the last molecule to convert, from 0 (default: all)",
    )
    chosen = parser.parse_args()
    molecules = None
    if chosen.molecules is not None:
        first, last = chosen.molecules
        if not 0 <= first <= last:
            sys.exit(f"error: --molecules: found {first} {last}, expected 0 <= FIRST <= LAST")
        molecules = range(first, last + 1)
    try:
        count = convert(chosen.source, chosen.target, molecules)
    except (OSError, DataError) as error:
        sys.exit(f"error: {error}")
    print(f"{chosen.target}: {count} conformations")
    return 0


if __name__ == "__main__":
    sys.exit(main())
