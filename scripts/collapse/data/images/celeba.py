"""CelebA as it is distributed: aligned images, the official partition, attributes.

CelebA (Liu et al. 2015) has 202,599 faces of 178 x 218 pixels: 162,770 for training, 19,867 for
validation and 19,962 for testing. P1 crops and scales them down to 64 x 64 pixels (section 3.3,
appendix 9); it does not say how large a square it crops, and 148 pixels are usual.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from collapse.data import listing
from collapse.errors import DataError

SIZE, CROP = 64, 148

IMAGES, PARTITION, ATTRIBUTES = (
    "img_align_celeba",
    "list_eval_partition.txt",
    "list_attr_celeba.txt",
)
#: Marks of training and test images in the official partition; 1 marks those of validation.
TRAIN, TEST = "0", "2"
PARTS = (TRAIN, "1", TEST)
#: What else CelebA's distribution has, in lower case; it is not read.
_OTHERS = re.compile(r"(list_|identity_)\w+\.(txt|csv)|img_align_celeba\.zip")


class Found(NamedTuple):
    """The images of the training and the test split, with labels if an attribute is given."""

    splits: Sequence[tuple[list[Path], list[int] | None]]
    classes: tuple[str, ...]


def find(folder: Path, attribute: str | None) -> Found:
    """Return the images of a folder that contains ``img_align_celeba`` and the partition.

    Parameters
    ----------
    folder : Path
    attribute : str or None
        Attribute of ``list_attr_celeba.txt`` by which to label the images.

    Raises
    ------
    DataError
        If a file is missing, malformed, or of an unknown name. Missing or damaged images are
        found when they are decoded.
    """
    for name in (IMAGES, PARTITION):
        if not (folder / name).exists():
            raise DataError(
                f"{folder}: found no {name}, expected CelebA's {IMAGES} and {PARTITION}"
            )
    for entry in listing.entries(folder):
        if entry.name not in (IMAGES, PARTITION) and not _OTHERS.fullmatch(entry.name.lower()):
            raise DataError(
                f"{entry}: found another file or folder, expected CelebA's {IMAGES} and {PARTITION}"
            )
    parts: dict[str, list[str]] = {part: [] for part in PARTS}
    known: set[str] = set()
    for number, line in enumerate(_lines(folder / PARTITION), start=1):
        words = line.split()
        if len(words) != 2 or words[1] not in parts:
            raise DataError(
                f"{folder / PARTITION}: line {number}: found {line[:40]!r}, "
                f"expected a file and one of {', '.join(PARTS)}"
            )
        if words[0] in known:
            raise DataError(
                f"{folder / PARTITION}: line {number}: found {words[0]} again, expected it once"
            )
        known.add(words[0])
        parts[words[1]].append(words[0])
    for entry in listing.entries(folder / IMAGES):
        if entry.name not in known:
            raise DataError(
                f"{entry}: found a file that is not in {PARTITION}, expected those alone"
            )
    labels = _labels(folder / ATTRIBUTES, attribute) if attribute else None
    splits = []
    for what, part in (("training", TRAIN), ("test", TEST)):
        names = parts[part]
        if not names:
            raise DataError(
                f"{folder / PARTITION}: found no {what} images, expected {part} for some"
            )
        if labels is not None and (missing := next((n for n in names if n not in labels), None)):
            raise DataError(f"{folder / ATTRIBUTES}: found no {missing}, expected its attributes")
        splits.append(
            (
                [folder / IMAGES / name for name in names],
                None if labels is None else [labels[name] for name in names],
            )
        )
    return Found(splits, (f"no {attribute}", str(attribute)) if attribute else ())


def _labels(path: Path, attribute: str) -> dict[str, int]:
    """Return 1 for every image that has the attribute, 0 for every other."""
    if not path.exists():
        raise DataError(f"{path}: found no such file, expected it for the label {attribute}")
    # The first line is the number of images, the second the names of the attributes.
    _, head, *rows = [*_lines(path), "", ""]
    names = head.split()
    if attribute not in names:
        raise DataError(f"{path}: found {', '.join(names)}, expected the attribute {attribute}")
    place = names.index(attribute) + 1
    labels = {}
    for number, row in enumerate(rows, start=3):
        words = row.split()
        if not words:
            continue
        if len(words) != len(names) + 1 or words[place] not in ("1", "-1"):
            raise DataError(
                f"{path}: line {number}: found {row[:40]!r}, "
                f"expected a file and {len(names)} times 1 or -1"
            )
        labels[words[0]] = int(words[place] == "1")
    return labels


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: can't be read ({error})") from None
