"""Real images, split into train and test: digits, CelebA, the Hugging Face Hub, folders.

Every source has a test split of its own; a folder without one is refused. (Of the digits, the
fifth with the smallest fingerprints is for testing.) Images are decoded one at a time, when
they are asked for.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from collapse.data import hub, hub_names
from collapse.data.images import celeba
from collapse.data.images.decoding import Scaling, decode
from collapse.data.reading import reading
from collapse.errors import DataError

TRAIN = "train"
#: Names of a test split, of which the first that exists is used.
TEST = ("test", "validation", "valid")
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")

DIGITS, CELEBA = "digits", "celeba"
#: Number of digits for each one that is for testing.
HELD_OUT = 5
#: Default columns of a data set of the Hub.
IMAGE_COLUMN, LABEL_COLUMN = "image", "label"


class Labelled(NamedTuple):
    """An image of shape (height, width, channels), its name in errors, and its class."""

    image: NDArray[np.uint8]
    where: str
    label: int | None


class Split(NamedTuple):
    """Images that are decoded when they are asked for by number."""

    length: int
    at: Callable[[int], Labelled]

    def read(self, limit: int | None = None) -> Iterator[Labelled]:
        """Yield the images, or ``limit`` of them evenly spaced; all must have one shape."""
        count = self.length if limit is None else min(limit, self.length)
        first: Labelled | None = None
        for number in range(count):
            found = self.at(number * self.length // count)
            first = first or found
            check_same_shape(first, found)
            yield found


class Collection(NamedTuple):
    """Real images, split into train and test; images without labels have no classes."""

    train: Split
    test: Split
    classes: tuple[str, ...]


def described(image: NDArray[np.uint8]) -> str:
    """Return the size and the mode of an image in words."""
    height, width, channels = image.shape
    return f"{width} x {height} pixels in {'grey' if channels == 1 else 'RGB'}"


def check_same_shape(first: Labelled, other: Labelled) -> None:
    """Raise `DataError` if an image has another size or mode than the first one."""
    if other.image.shape != first.image.shape:
        expected = f"{described(first.image)} as in {first.where}"
        raise DataError(f"{other.where}: found {described(other.image)}, expected {expected}")


def fingerprint(image: NDArray[np.uint8]) -> int:
    """Return 64 bits of SHA-256 of an image's pixels."""
    return int.from_bytes(hashlib.sha256(image.tobytes()).digest()[:8])


def collection(
    source: str, *, size: int | None, column: str = IMAGE_COLUMN, label: str | None = None
) -> Collection:
    """Open the images of a source.

    Parameters
    ----------
    source : str
        ``digits``, which has 8 x 8 pixels, from scikit-learn; ``celeba``, from the Hub, or
        ``celeba:<folder>``, as it is distributed, either cropped and scaled down to 64 x 64
        pixels by default; ``hub:<owner>/<name>``; or a folder with the folders ``train`` and
        ``test``, which contain images, or a folder of images for each class.
    size : int or None
        Pixels a side to which the central square of every image is scaled down.
    column, label : str
        Columns of a data set of the Hub; ``label`` may also be an attribute of CelebA.

    Raises
    ------
    DataError
        If the data can't be read or used; the message is one line.
    """
    if source == DIGITS:
        return _digits()
    if source == CELEBA or source.startswith(f"{CELEBA}:"):
        scaling = Scaling(size or celeba.SIZE, celeba.CROP)
        if source == CELEBA:
            return _hub(hub_names.NAMED[CELEBA], column, label, scaling)
        found = celeba.find(Path(source.removeprefix(f"{CELEBA}:")).expanduser(), label)
        train, test = (_files(paths, labels, scaling) for paths, labels in found.splits)
        return Collection(train, test, found.classes)
    if source.startswith(hub_names.PREFIX):
        return _hub(source, column, label, Scaling(size))
    return _folder(Path(source).expanduser(), Scaling(size))


def _digits() -> Collection:
    from sklearn.datasets import load_digits

    loaded = load_digits()
    # Pixels range from 0 to 16.
    images = np.round(loaded.images * (255 / 16)).astype(np.uint8)[..., None]
    order = np.argsort([fingerprint(image) for image in images], kind="stable")
    held_out = len(order) // HELD_OUT

    def split(rows: NDArray[np.int64]) -> Split:
        def at(number: int) -> Labelled:
            row = rows[number]
            return Labelled(images[row], f"digit {row}", int(loaded.target[row]))

        return Split(len(rows), at)

    classes = tuple(map(str, loaded.target_names))
    return Collection(split(order[held_out:]), split(order[:held_out]), classes)


def _files(paths: Sequence[Path], labels: Sequence[int] | None, scaling: Scaling) -> Split:
    def at(number: int) -> Labelled:
        path = paths[number]
        label = None if labels is None else labels[number]
        return Labelled(decode(path, str(path), scaling), str(path), label)

    return Split(len(paths), at)


def _folder(folder: Path, scaling: Scaling) -> Collection:
    if not folder.is_dir():
        raise DataError(f"{folder}: found no folder, expected one with {TRAIN} and {TEST[0]}")
    test = next((name for name in TEST if (folder / name).is_dir()), None)
    if not (folder / TRAIN).is_dir() or test is None:
        missing = "test" if (folder / TRAIN).is_dir() else "train"
        raise DataError(
            f"{folder}: found no {missing} split, expected folders {TRAIN} and {TEST[0]} with "
            "images, or with a folder of images for each class"
        )
    train_paths, train_classes = _listed(folder / TRAIN)
    test_paths, test_classes = _listed(folder / test)
    classes = tuple(sorted(set(train_classes)))
    other = sorted(set(test_classes) ^ set(classes))
    if other:
        raise DataError(
            f"{folder}: found class {other[0]} in one of {TRAIN} and {test} alone, "
            "expected the same classes in both"
        )
    number = {name: place for place, name in enumerate(classes)}
    train, tested = (
        _files(paths, [number[name] for name in named] if classes else None, scaling)
        for paths, named in ((train_paths, train_classes), (test_paths, test_classes))
    )
    return Collection(train, tested, classes)


def _listed(split: Path) -> tuple[list[Path], list[str]]:
    """Return the images of a split, and the class of each if it has classes."""
    folders, files = _entries(split)
    if folders and files:
        raise DataError(
            f"{split}: found both images ({files[0].name}) and folders ({folders[0].name}), "
            "expected images, or a folder of images for each class"
        )
    paths, classes = files, []
    for folder in folders:
        inner, found = _entries(folder)
        if inner or not found:
            other = f"a folder {inner[0].name}" if inner else "no images"
            raise DataError(f"{folder}: found {other}, expected the images of a class")
        paths += found
        classes += [folder.name] * len(found)
    if not paths:
        raise DataError(f"{split}: found no images, expected some of {', '.join(SUFFIXES)}")
    return paths, classes


def _entries(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the folders and the images in a folder; hidden files don't count."""
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    folders = [entry for entry in entries if entry.is_dir()]
    files = [entry for entry in entries if not entry.is_dir()]
    for file in files:
        if file.suffix.lower() not in SUFFIXES:
            raise DataError(f"{file}: found no image, expected one of {', '.join(SUFFIXES)}")
    return folders, files


def _hub(source: str, column: str, label: str | None, scaling: Scaling) -> Collection:
    splits = hub.load(source)
    test = next((splits[name] for name in TEST if name in splits), None)
    if test is None:
        found = ", ".join(splits)
        raise DataError(f"{source}: found the splits {found}, expected one of {', '.join(TEST)}")
    train = splits[TRAIN]
    if label is None and LABEL_COLUMN in train.column_names:
        label = LABEL_COLUMN
    opened = [_columns(source, split, column, label, scaling) for split in (train, test)]
    return Collection(opened[0][0], opened[1][0], opened[0][1])


def _columns(
    source: str, dataset: Any, column: str, label: str | None, scaling: Scaling
) -> tuple[Split, tuple[str, ...]]:
    import datasets

    for name in filter(None, (column, label)):
        if name not in dataset.column_names:
            found = ", ".join(dataset.column_names)
            raise DataError(f"{source}: found the columns {found}, expected {name}")
    if not isinstance(dataset.features[column], datasets.Image):
        kind = type(dataset.features[column]).__name__
        raise DataError(f"{source}: found {kind} in the column {column}, expected images")
    classes = () if label is None else _classes(source, dataset.features[label], label)
    encoded = dataset.cast_column(column, datasets.Image(decode=False))

    def at(number: int) -> Labelled:
        where = f"{source}, image {number}"
        with reading(where):
            row = encoded[number]
            image, value = row[column], None if label is None else row[label]
            if image is None:
                raise DataError(f"{where}: found null in {column!r}, expected an image")
            content = image["bytes"]
            file = io.BytesIO(content) if content is not None else Path(image["path"])
            # The Hub's mark of a row without a class is -1.
            if label is not None and (value is None or not 0 <= int(value) < len(classes)):
                raise DataError(f"{where}: found {value} in {label!r}, expected a class")
            wanted = None if value is None else int(value)
        return Labelled(decode(file, where, scaling), where, wanted)

    return Split(len(dataset), at), classes


def _classes(source: str, feature: Any, label: str) -> tuple[str, ...]:
    if hasattr(feature, "names"):
        return tuple(feature.names)
    if getattr(feature, "dtype", None) == "bool":
        return (f"no {label}", label)
    raise DataError(f"{source}: found {feature} in the column {label}, expected classes")
