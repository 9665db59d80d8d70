"""Real conformations, split into train and test: built-in, made by RDKit, or read from SDF.

Test molecules must never be trained on, so the split is by molecule, and stereoisomers stay
together. An entry that can't be used is refused, or skipped and counted by its reason.
"""

from __future__ import annotations

import gzip
import hashlib
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, cast

import numpy as np
from rdkit import Chem, rdBase
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

from collapse.artifacts import remedies
from collapse.data.molecules import drug_like, rdkit_conversion
from collapse.data.molecules.conformations import Conformations
from collapse.errors import DataError

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
    """Real conformations, and the number of entries that were skipped, by reason."""

    train: Conformations
    test: Conformations
    skipped: dict[str, int]


class _Entry(NamedTuple):
    """The place of an entry in errors, and RDKit's molecule, or None if it can't be parsed."""

    where: str
    molecule: Any


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
        entries: Iterable[_Entry] = _made(reading, generator_of)
        test_entries: Iterable[_Entry] | None = None
    else:
        files, test_files = _find(source)
        entries = _read(files)
        test_entries = _read(test_files) if test_files else None
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


def _made(reading: Reading, generator_of: Generators) -> Iterator[_Entry]:
    """Make conformations of the built-in molecules by ETKDG, and relax them in the MMFF94 field."""
    for smiles in drug_like.SMILES[: reading.molecules]:
        molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
        settings: Any = rdDistGeom.ETKDGv3()
        settings.randomSeed = int(generator_of(f"conformations of {smiles}").integers(2**31))
        rdDistGeom.EmbedMultipleConfs(molecule, reading.conformations, settings)
        rdForceFieldHelpers.MMFFOptimizeMoleculeConfs(molecule, maxIters=RELAXATION)
        yield _Entry(f"{BUILT_IN}: {smiles}", molecule)


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
    splits = [
        sorted(file for file in path.iterdir() if file.name.startswith(split) and _is_sdf(file))
        for split in ("train", "test")
    ]
    if not splits[0] or (converted and not splits[1]):
        found = ", ".join(sorted(file.name for file in path.iterdir())[:5]) or "an empty folder"
        raise DataError(f"{path}: found {found}, expected train.sdf and test.sdf{converted}")
    return splits[0], splits[1]


def _is_sdf(file: Path) -> bool:
    return file.name.endswith((".sdf", ".sdf.gz"))


def _read(files: Iterable[Path]) -> Iterator[_Entry]:
    for file in files:
        if not _is_sdf(file):
            raise DataError(f"{file}: found an unknown kind of file, expected .sdf or .sdf.gz")
        number = 0
        with _opened(file) as content, rdBase.BlockLogs():
            for number, block in enumerate(_blocks(content), start=1):
                molecule = Chem.MolFromMolBlock(block, removeHs=False)
                yield _Entry(f"{file}: entry {number}", molecule)
        if number == 0:
            raise DataError(f"{file}: found no entries, expected molecules in SDF")


def _blocks(content: IO[bytes]) -> Iterator[str]:
    """Yield the entries of an SDF file as text.

    RDKit's `ForwardSDMolSupplier` is not used: after an entry that is cut short it passes over the
    next one as well, which would be neither counted nor numbered, and it takes an empty line at
    the end for an entry.
    """
    lines: list[str] = []
    for line in content:
        text = line.decode("utf-8", errors="replace").rstrip("\r\n")
        if text.startswith("$$$$"):  # blanks may follow
            yield "\n".join(lines)
            lines = []
        else:
            lines.append(text)
    if any(line.strip() for line in lines):
        yield "\n".join(lines)


@contextmanager
def _opened(file: Path) -> Iterator[IO[bytes]]:
    try:
        with (gzip.open if file.suffix == ".gz" else open)(file, "rb") as content:
            yield cast(IO[bytes], content)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        found = f"damaged or truncated gzip file ({error})"
        raise DataError(f"{file}: {found}; {remedies.remedy(file)}") from None


def _usable(
    entries: Iterable[_Entry], reading: Reading, skipped: Counter[str]
) -> Iterator[tuple[str, Any]]:
    """Yield the usable molecules, each with its graph's name, a SMILES without stereochemistry."""
    for entry in entries:
        molecule = entry.molecule
        if molecule is not None and not reading.hydrogens:
            molecule = Chem.RemoveHs(molecule)
        problem = rdkit_conversion.problem(molecule, reading.most_atoms)
        if problem is None:
            flat = Chem.MolToSmiles(Chem.RemoveHs(molecule), isomericSmiles=False)
            yield flat, molecule
        elif reading.unusable == "refuse":
            raise DataError(f"{entry.where}: {problem}; or set unusable: skip")
        else:
            skipped[problem.partition(":")[0]] += 1


class _Numbered(NamedTuple):
    """Conformations, and the name of the graph of each."""

    conformations: Conformations
    graphs: list[str]

    def take(self, kept: list[bool]) -> Conformations:
        return self.conformations.take(np.flatnonzero(np.array(kept)))


def _converted(usable: Iterator[tuple[str, Any]], most: int | None) -> _Numbered | None:
    """Return the conformations of the first ``most`` molecules, or None if there are none.

    Molecules are numbered; entries of one molecule in another order of atoms get another number.
    """
    graphs: list[str] = []
    known: set[str] = set()
    numbers: dict[Any, int] = {}

    def chosen() -> Iterator[tuple[int, Any]]:
        for graph, molecule in usable:
            if graph not in known and len(known) == most:
                continue
            known.add(graph)
            order = (graph, rdkit_conversion.labelled_graph(molecule))
            graphs.extend([graph] * molecule.GetNumConformers())
            yield numbers.setdefault(order, len(numbers)), molecule

    conformations = rdkit_conversion.to_arrays(chosen())
    return _Numbered(conformations, graphs) if graphs else None


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
    return Collection(
        found.take([not one for one in tested]), found.take(tested), dict(sorted(skipped.items()))
    )


def _fingerprint(graph: str) -> bytes:
    return hashlib.sha256(graph.encode()).digest()


def _separated(
    source: str, found: _Numbered | None, tested: _Numbered | None, skipped: Counter[str]
) -> Collection:
    """Leave conformations of test molecules out of the training set."""
    if tested is None:
        raise DataError(f"{source}: no usable test molecules")
    held_out = set(tested.graphs)
    kept = [graph not in held_out for graph in found.graphs] if found else []
    if found is None or not any(kept):
        raise DataError(f"{source}: no usable training molecules that are not test molecules")
    if not all(kept):
        skipped["of a test molecule"] += len(kept) - sum(kept)
    return Collection(found.take(kept), tested.conformations, dict(sorted(skipped.items())))
