"""Entries of SDF files, as molecules of RDKit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from rdkit import Chem, rdBase

from collapse.data import listing
from collapse.data.reading import opened
from collapse.errors import DataError

#: Kinds of files, with or without compression.
SUFFIXES = (".sdf",)


class Entry(NamedTuple):
    """The place of an entry in errors, and RDKit's molecule, or None if it can't be parsed.

    ``fault`` is why the entry can't be used although RDKit would read something of it.
    """

    where: str
    molecule: Any
    fault: str | None = None


def read(files: Iterable[Path]) -> Iterator[Entry]:
    """Yield the entries of files, in their order.

    Raises
    ------
    DataError
        If a file is no SDF file, has no entries, or can't be read; the message names the entry.
    """
    for file in files:
        if listing.kind(file, SUFFIXES, SUFFIXES) is None:
            raise DataError(f"{file}: found an unknown kind of file, expected .sdf or .sdf.gz")
        number = 0
        with opened(file) as (content, place), rdBase.BlockLogs():
            for number, block in enumerate(_blocks(content), start=1):
                place.record = f"entry {number}"
                yield _parsed(str(place), block)
        if number == 0:
            raise DataError(f"{file}: found no entries, expected molecules in SDF")


def _parsed(where: str, block: str) -> Entry:
    molecules = sum(line.split() == ["M", "END"] for line in block.split("\n"))
    if molecules > 1:  # RDKit would read the first alone
        return Entry(where, None, f"several: {molecules} molecules, expected $$$$ after each")
    try:
        return Entry(where, Chem.MolFromMolBlock(block, removeHs=False))
    except Exception:  # of several types, as of numbers in an extended block
        return Entry(where, None)


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
