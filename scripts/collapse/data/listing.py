"""Listing of folders of real data: which files are the training and which the test split.

A folder is listed in one way for all readers. Each of its files is read once, is known to be
harmless (`collapse.artifacts.harmless`), or is refused by its name, because a file that is silently
left out, or read twice, changes a study that nobody suspects.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from collapse.artifacts import manifest
from collapse.artifacts.harmless import is_harmless
from collapse.errors import DataError, in_one_line

TRAIN, VALIDATION, TEST = "train", "validation", "test"

#: The names of each split, which may be followed by more: ``val-00000-of-00002.parquet``.
NAMES = {
    TRAIN: (TRAIN,),
    VALIDATION: (VALIDATION, "valid", "val", "dev"),
    TEST: (TEST,),
}
#: Names of test splits in the order in which most readers prefer them.
TEST_NAMES = NAMES[VALIDATION] + NAMES[TEST]
#: The split of each name.
SPLIT_OF = {name: split for split, names in NAMES.items() for name in names}
_BEGINNING = re.compile(rf"({'|'.join(SPLIT_OF)})(?=[-_. \d]|$)")
#: Suffix of compressed files.
GZIP = ".gz"


class Files(NamedTuple):
    """The files of the training and of the test split, each in the order of their names."""

    train: list[Path]
    test: list[Path]


def kind(path: Path, suffixes: Collection[str], gzipped: Collection[str] = ()) -> str | None:
    """Return the suffix that says what a file is, in lower case; None if it is none of these.

    The suffix itself may be in capitals, but not ``.gz``.

    Parameters
    ----------
    path : Path
    suffixes : collection of str
        Suffixes of files that can be read.
    gzipped : collection of str
        Those that may be followed by ``.gz``.
    """
    inner = path.name.removesuffix(GZIP)
    suffix = Path(inner).suffix.lower()
    return suffix if suffix in (suffixes if inner == path.name else gzipped) else None


def entries(folder: Path) -> list[Path]:
    """Return what is in a folder, apart from what is harmless, in the order of the names.

    Raises
    ------
    DataError
        If the folder can't be listed, or an entry is neither a file nor a folder, or has a name
        that is no UTF-8, which no record could hold.
    """
    try:
        found = sorted(entry for entry in folder.iterdir() if not is_harmless(entry))
        unusable = next((one for one in found if not one.is_file() and not one.is_dir()), None)
    except OSError as error:
        raise DataError(f"{folder}: can't be listed ({in_one_line(error)})") from None
    if unusable is not None:
        raise DataError(f"{unusable}: found a broken link or a device, expected a file")
    for entry in found:
        if not _is_text(entry.name):
            raise DataError(f"{entry}: found a name that is no UTF-8, expected one; rename it")
    return found


def _is_text(name: str) -> bool:
    """Tell whether the bytes of a name are UTF-8; Python keeps others as lone surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def split_of(entry: Path) -> str | None:
    """Return the split that the name of a file or folder begins with, or None."""
    return SPLIT_OF.get(_beginning(entry))


def _beginning(entry: Path) -> str:
    match = _BEGINNING.match(entry.name.lower())
    return match[1] if match else ""


def find(
    folder: Path,
    suffixes: Sequence[str],
    *,
    gzipped: Collection[str] = (),
    tests: Sequence[str] = (VALIDATION, TEST),
    known: Collection[str] = (),
) -> Files:
    """Return the files of the splits of a folder; without a test split, its list is empty.

    Parameters
    ----------
    folder : Path
        An existing folder of files such as ``train.txt`` or ``dev-00000-of-00004.parquet``.
    suffixes, gzipped : collection of str
        The files that the reader reads (`kind`).
    tests : sequence of str
        Splits to test on, of which the first that exists is used. Another one is left alone, and
        this is said on standard error.
    known : collection of str
        Suffixes of files that the reader knows not to be data, in lower case.

    Raises
    ------
    DataError
        If there is no training split, a file is of no known kind or split, or the files of a split
        are not all of one kind, complete, and different from each other.
    """
    by_split: dict[str, list[Path]] = {}
    expected = f"expected {', '.join(NAMES)} or similar with one of {', '.join(suffixes)}"
    for entry in entries(folder):
        split = split_of(entry)
        if entry.is_file() and entry.suffix.lower() in known:
            continue
        if entry.is_dir():
            raise DataError(f"{entry}: found a folder, {expected}")
        if split is None or kind(entry, suffixes, gzipped) is None:
            raise DataError(f"{entry}: found a file of an unknown name, {expected}")
        by_split.setdefault(split, []).append(entry)
    if TRAIN not in by_split:
        found = ", ".join(name for files in by_split.values() for name in _names(files)[:5])
        raise DataError(f"{folder}: found {found or 'an empty folder'}, {expected}")
    for split, files in by_split.items():
        _check_kinds(folder, split, files, suffixes, gzipped)
        _check_shards(folder, files)
        _check_distinct(files)
    return Files(by_split[TRAIN], choose_test(folder, by_split, tests) or [])


def choose_test(
    folder: Path, by_split: dict[str, list[Path]], tests: Sequence[str]
) -> list[Path] | None:
    """Return what the test split consists of, and say on standard error which split is left alone.

    Parameters
    ----------
    folder : Path
        The folder, as messages name it.
    by_split : dict of str to list of Path
        The files or folders of each split.
    tests : sequence of str
        Splits to test on, of which the first that exists is used.
    """
    chosen = next((split for split in tests if split in by_split), None)
    unused = [name for split in set(by_split) - {TRAIN, chosen} for name in _names(by_split[split])]
    if chosen is not None and unused:
        used = _names(by_split[chosen])[0]
        print(f"{folder}: {used} is the test split; not used: {', '.join(unused)}", file=sys.stderr)
    return None if chosen is None else by_split[chosen]


def _names(files: Iterable[Path]) -> list[str]:
    return [file.name for file in files]


def _check_kinds(
    folder: Path, split: str, files: list[Path], suffixes: Sequence[str], gzipped: Collection[str]
) -> None:
    """Refuse a split whose files are of several kinds or begin with several names of the split."""
    for what, found in (
        ("are of several kinds", {str(kind(file, suffixes, gzipped)) for file in files}),
        ("begin with several names", {_beginning(file) for file in files}),
    ):
        if len(found) > 1:
            raise DataError(
                f"{folder}: the files of {split} {what} ({', '.join(sorted(found))}); expected one"
            )


class _Shard(NamedTuple):
    """What the name of a file says: its series, its digits, and the number of files if it says so.

    Of ``train-00003-of-00010-0a1b2c.jsonl.gz`` these are ``train``, ``00003`` and 10.
    """

    file: Path
    series: str
    digits: str = ""
    total: int | None = None


def _shard(file: Path) -> _Shard:
    name = re.sub(r"[-_. ]", "-", file.name.lower().removesuffix(GZIP))
    stem = name.rpartition("-")[0]
    counted = re.search(r"-(\d+)-of-(\d+)(?!\d)", stem)
    if counted:
        return _Shard(file, stem[: counted.start()], counted[1], int(counted[2]))
    dated = re.search(r"\d{4}-\d\d(-\d\d)?$", stem)
    plain = None if dated else re.fullmatch(r"(.+)-(\d+)|([a-z]+)(\d+)", stem)
    if plain is None:
        return _Shard(file, stem)
    return _Shard(file, plain[1] or plain[3], plain[2] or plain[4])


def _check_shards(folder: Path, files: list[Path]) -> None:
    """Refuse shards that are missing, as after a broken download, or that are there twice."""
    series: dict[str, list[_Shard]] = {}
    for shard in map(_shard, files):
        series.setdefault(shard.series, []).append(shard)
    for shards in series.values():
        numbered: dict[int, _Shard] = {}
        whole: _Shard | None = None
        for shard in shards:
            other = whole if not shard.digits else numbered.get(int(shard.digits))
            if other is not None:
                raise DataError(
                    f"{folder}: found {other.file.name} and {shard.file.name}, expected one of "
                    "them, since every shard is read once"
                )
            if not shard.digits:
                whole = shard
            else:
                numbered[int(shard.digits)] = shard
        if numbered and whole is not None:
            raise DataError(
                f"{folder}: found {whole.file.name} beside {min(numbered.items())[1].file.name}, "
                "expected the one file or the numbered ones"
            )
        if numbered:
            _check_complete(folder, numbered)


def _check_complete(folder: Path, numbered: dict[int, _Shard]) -> None:
    """Refuse a series in which a number is missing, or that says how many files it has."""
    numbers = sorted(numbered)
    first = numbered[numbers[0]]
    total = first.total
    if any(shard.total != total for shard in numbered.values()):
        raise DataError(
            f"{folder}: found shards like {first.file.name} that are not of one set, expected one"
        )
    shown = ", ".join(map(str, numbers[:8])) + (", ..." if len(numbers) > 8 else "")
    if total is not None and numbers not in ([*range(total)], [*range(1, total + 1)]):
        raise DataError(
            f"{folder}: expected {total} shards like {first.file.name}, found {len(numbers)} "
            f"({shown})"
        )
    # Years begin high and may have gaps; of a single file nobody knows whether there were more.
    is_series = len(numbers) > 1 or first.digits.startswith("00")
    if total is None and is_series and numbers[0] < 1000:
        missing = [number for number in range(1, numbers[-1]) if number not in numbered]
        if missing:
            raise DataError(
                f"{folder}: found the numbers {shown} of files like {first.file.name}, "
                f"expected {missing[0]} as well"
            )


def _check_distinct(files: list[Path]) -> None:
    """Refuse files that have the same content, unless they are numbered in one series."""
    by_size: dict[int, list[_Shard]] = {}
    for file in files:
        by_size.setdefault(os.path.getsize(file), []).append(_shard(file))
    for size, equal in by_size.items():
        if size == 0 or len({shard.series for shard in equal}) == 1:
            continue
        known: dict[str, _Shard] = {}
        for shard in equal:
            other = known.setdefault(manifest.checksum(shard.file), shard)
            if other.series != shard.series:
                raise DataError(
                    f"{shard.file}: found the content of {other.file.name}, expected another, "
                    "since every file is read once"
                )
