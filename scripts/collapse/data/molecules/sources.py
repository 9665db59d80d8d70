"""Real conformations, split into train and test: built-in, made by RDKit, or read from SDF.

Test molecules must never be trained on, so the split is by molecule, and stereoisomers stay
together. An entry that can't be used is refused, or skipped and counted by its reason.
"""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

from collapse.data import listing
from collapse.data.molecules import drug_like, rdkit_conversion, sdf
from collapse.data.molecules.conformations import Conformations
from collapse.data.molecules.sdf import Entry
from collapse.errors import DataError, in_one_line

Generators = Callable[[str], np.random.Generator]

BUILT_IN, GEOM_DRUGS = "drug-like", "geom-drugs:"
#: Default share of the molecules that is for testing.
TEST_FRACTION = 0.1
#: Largest number of iterations of the relaxation, which is more than any built-in molecule needs.
RELAXATION = 2000


class Reading(NamedTuple):
    """What to read from a source, and what to do with entries that can't be used."""

    hydrogens: bool = True
    most_atoms: int = 200
    unusable: Literal["refuse", "skip"] = "refuse"
    molecules: int | None = None
    conformations: int = 5
    test_molecules: int | None = None


class Collection(NamedTuple):
    """Real conformations, the number of molecules of each split, and of skipped entries by reason.

    Stereoisomers are conformations of one molecule, since no model sees a difference.
    """

    train: Conformations
    test: Conformations
    skipped: dict[str, int]
    train_molecules: int
    test_molecules: int


def collection(source: str, reading: Reading, generator_of: Generators) -> Collection:
    """Read or make the conformations of a source.

    Parameters
    ----------
    source : str
        ``drug-like``, an SDF file, or a folder with ``train*.sdf`` and optionally ``test*.sdf``,
        with or without ``.gz``; the folder of ``geom-drugs:<folder>`` must have both.
    reading : Reading
    generator_of : callable
        Returns the generator of a purpose, such as the conformations of a built-in molecule.

    Raises
    ------
    DataError
        If the source can't be read or used; the message is one line.
    """
    skipped: Counter[str] = Counter()
    if source == BUILT_IN:
        entries: Iterable[Entry] = _made(reading, generator_of)
        test_entries: Iterable[Entry] | None = None
    else:
        files, test_files = _find(source)
        entries = sdf.read(files)
        test_entries = sdf.read(test_files) if test_files else None
    found = _converted(_usable(entries, reading, skipped), reading.molecules)
    if test_entries is None:
        return _split(source, found, reading.test_molecules, skipped)
    tested = _converted(_usable(test_entries, reading, skipped), reading.test_molecules)
    return _separated(source, found, tested, skipped)


def report(source: str, found: Collection) -> None:
    """Print the number of skipped entries, by reason, to standard error if there are any."""
    if found.skipped:
        reasons = ", ".join(f"{count} {reason}" for reason, count in found.skipped.items())
        print(
            f"{source}: {sum(found.skipped.values())} entries skipped: {reasons}", file=sys.stderr
        )


def _made(reading: Reading, generator_of: Generators) -> Iterator[Entry]:
    """Make conformations of the built-in molecules by ETKDG, and relax them in the MMFF94 field."""
    for smiles in drug_like.SMILES[: reading.molecules]:
        molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
        settings: Any = rdDistGeom.ETKDGv3()
        settings.randomSeed = int(generator_of(f"conformations of {smiles}").integers(2**31))
        rdDistGeom.EmbedMultipleConfs(molecule, reading.conformations, settings)
        rdForceFieldHelpers.MMFFOptimizeMoleculeConfs(molecule, maxIters=RELAXATION)
        yield Entry(f"{BUILT_IN}: {smiles}", molecule)


def _find(source: str) -> tuple[list[Path], list[Path]]:
    """Return the files of the train and of the test split; a single file has no test split."""
    path = Path(source.removeprefix(GEOM_DRUGS)).expanduser()
    converted = (
        ""
        if not source.startswith(GEOM_DRUGS)
        else ("; GEOM-Drugs is converted once, by scripts/convert_geom.py")
    )
    if path.is_file() and not converted:
        return [path], []
    if not path.is_dir():
        raise DataError(f"{path}: no such {'folder' if converted else 'file or folder'}{converted}")
    try:
        train, test = listing.find(
            path,
            sdf.SUFFIXES,
            gzipped=sdf.SUFFIXES,
            tests=(listing.TEST, listing.VALIDATION),
            known=(".pkl",) if converted else (),
        )
    except DataError as error:
        raise DataError(f"{error}{converted}") from None
    if converted and not test:
        raise DataError(f"{path}: found no test split, expected train.sdf and test.sdf{converted}")
    return train, test


def _usable(
    entries: Iterable[Entry], reading: Reading, skipped: Counter[str]
) -> Iterator[tuple[str, Any]]:
    """Yield the usable molecules, each with its graph's name, a SMILES without stereochemistry."""
    for entry in entries:
        molecule, problem, name = _checked(entry, reading)
        if problem is None:
            yield name, molecule
        elif reading.unusable == "refuse":
            raise DataError(f"{entry.where}: {problem}; or set unusable: skip")
        else:
            skipped[problem.partition(":")[0]] += 1


def _checked(entry: Entry, reading: Reading) -> tuple[Any, str | None, str]:
    """Return the molecule of an entry, the reason why it can't be used or None, and its name."""
    molecule = entry.molecule
    # Positions are judged with all hydrogens, without which many molecules are flat.
    problem = entry.fault or rdkit_conversion.problem(
        molecule, reading.most_atoms if reading.hydrogens else None
    )
    if problem is not None:
        return None, problem, ""
    try:
        if not reading.hydrogens:
            molecule = rdkit_conversion.without_hydrogens(molecule)
            problem = rdkit_conversion.size_problem(molecule, reading.most_atoms)
        Chem.Kekulize(Chem.Mol(molecule))
        return molecule, problem, rdkit_conversion.graph_name(molecule)
    except Exception as error:  # RDKit has a type for each kind of chemistry that it can't take
        return None, f"unparsable: RDKit can't take it ({in_one_line(error)})", ""


class _Numbered(NamedTuple):
    """Conformations, and of each the name of its graph and the fingerprint of its shape."""

    conformations: Conformations
    graphs: list[str]
    shapes: list[bytes]

    def take(self, kept: list[bool]) -> Conformations:
        return self.conformations.take(np.flatnonzero(np.array(kept)))

    def molecules(self, kept: list[bool]) -> int:
        """Return the number of molecules that are kept."""
        return len({graph for graph, one in zip(self.graphs, kept, strict=True) if one})


def _converted(usable: Iterator[tuple[str, Any]], most: int | None) -> _Numbered | None:
    """Return the conformations of the first ``most`` molecules, or None if there are none.

    Molecules are numbered, and the atoms of their entries have one order.
    """
    graphs: list[str] = []
    first: dict[str, Any] = {}
    numbers: dict[Any, int] = {}

    def chosen() -> Iterator[tuple[int, Any]]:
        for graph, molecule in usable:
            if graph not in first and len(first) == most:
                continue
            molecule = rdkit_conversion.in_order_of(first.setdefault(graph, molecule), molecule)
            order = (graph, rdkit_conversion.labelled_graph(molecule))
            graphs.extend([graph] * molecule.GetNumConformers())
            yield numbers.setdefault(order, len(numbers)), molecule

    conformations = rdkit_conversion.to_arrays(chosen())
    return _Numbered(conformations, graphs, _shapes(conformations)) if graphs else None


def _shapes(conformations: Conformations) -> list[bytes]:
    """Return fingerprints of the atoms and their positions, whatever the bonds and the order."""
    found = []
    for begin, end in pairwise(conformations.atom_bounds):
        positions = conformations.positions[begin:end].astype(np.float64)
        centred = (positions - positions.mean(axis=0)).round(3) + 0.0  # no negative zeros
        rows = np.column_stack((conformations.atoms[begin:end], centred))
        ordered = rows[np.lexsort(rows.T)]
        found.append(hashlib.sha256(ordered.tobytes()).digest())
    return found


def _split(
    source: str, found: _Numbered | None, wanted: int | None, skipped: Counter[str]
) -> Collection:
    """Split off the molecules with the smallest fingerprints of their graphs for testing."""
    distinct = sorted(set(found.graphs), key=_fingerprint) if found else []
    size = max(1, round(TEST_FRACTION * len(distinct))) if wanted is None else wanted
    if found is None or size >= len(distinct):
        raise DataError(
            f"{source}: found {len(distinct)} usable molecules, "
            f"expected more than the {size} for testing"
        )
    held_out = set(distinct[:size])
    tested = [graph in held_out for graph in found.graphs]
    test_shapes = {shape for shape, test in zip(found.shapes, tested, strict=True) if test}
    return _collected(source, found, tested, (held_out, test_shapes), found, skipped)


def _fingerprint(graph: str) -> bytes:
    return hashlib.sha256(graph.encode()).digest()


def _separated(
    source: str, found: _Numbered | None, tested: _Numbered | None, skipped: Counter[str]
) -> Collection:
    """Leave conformations of test molecules out of the training set."""
    if tested is None:
        raise DataError(f"{source}: no usable test molecules")
    every = [True] * len(tested.graphs)
    known = set(tested.graphs), set(tested.shapes)
    return _collected(source, tested, every, known, found, skipped)


def _collected(
    source: str,
    tested: _Numbered,
    is_test: list[bool],
    known: tuple[set[str], set[bytes]],
    found: _Numbered | None,
    skipped: Counter[str],
) -> Collection:
    """Leave out of the training set what has the graph or the shape of a test conformation."""
    graphs, shapes = known
    if found is None:
        kept = []
    else:
        both = zip(found.graphs, found.shapes, strict=True)
        kept = [graph not in graphs and shape not in shapes for graph, shape in both]
    if found is None or not any(kept):
        raise DataError(f"{source}: no usable training molecules that are not test molecules")
    left_out = len(kept) - sum(kept) - (sum(is_test) if found is tested else 0)
    if left_out:
        skipped["of a test molecule"] += left_out
    return Collection(
        found.take(kept),
        tested.take(is_test),
        dict(sorted(skipped.items())),
        found.molecules(kept),
        tested.molecules(is_test),
    )
