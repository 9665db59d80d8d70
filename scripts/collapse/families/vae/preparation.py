"""The real images of variational autoencoders, and the modes and classes fitted to them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from collapse.artifacts.step import Step
from collapse.data import evenly
from collapse.data.images import shards as image_shards
from collapse.data.images import sources as images
from collapse.data.images.sources import Labelled
from collapse.errors import DataError
from collapse.families.step_jobs import (
    Prepared,
    StepJob,
)
from collapse.families.vae import Parameters, reference
from collapse.families.vae.architectures import architecture

TRAIN, TEST, REFERENCE = "train.parquet", "test.parquet", "reference.npz"


#: Largest number of test images that samples are compared with.
TESTED = 1000


def prepare(job: StepJob[Parameters]) -> Prepared:
    """Decode the real images once, and fit the modes and classes that samples are compared with.

    A training image that is a copy of a test image is left out.
    """
    source = job.parameters.data
    found = images.collection(
        source,
        size=job.parameters.size,
        column=job.parameters.column,
        label=job.parameters.label,
    )
    shape = _checked_shape(source, [next(split.read(1)) for split in (found.train, found.test)])
    held_out: set[int] = set()
    copies = 0

    def tested() -> Iterator[tuple[NDArray[np.uint8], int | None]]:
        for one in found.test.read(job.parameters.test_images):
            held_out.add(images.fingerprint(one.image))
            yield one.image, one.label

    def trained() -> Iterator[tuple[NDArray[np.uint8], int | None]]:
        nonlocal copies
        for one in found.train.read(job.parameters.images):
            if images.fingerprint(one.image) in held_out:
                copies += 1
            else:
                yield one.image, one.label

    test_count = image_shards.write(job.data / TEST, tested(), shape)
    train_count = image_shards.write(job.data / TRAIN, trained(), shape)
    for what, count, wanted in (
        ("test", test_count, job.parameters.test_images or 2),
        ("training", train_count, 2),
    ):
        if count < wanted:
            raise DataError(f"{source}: found {count} {what} images, expected at least {wanted}")
    classifier = _fitted(job.step, job.data, train_count, len(found.classes))
    reference.save(classifier, job.data / REFERENCE)
    return Prepared(
        train=[(TRAIN, train_count)],
        test=[(TEST, test_count)],
        details={
            "shape": shape,
            "classes": found.classes,
            "copies": copies,
            **_accuracy(job.data, classifier, test_count),
        },
    )


def _checked_shape(source: str, first: Sequence[Labelled]) -> image_shards.Shape:
    """Return the shape of the images; raise `DataError` if no network takes it."""
    train, test = first
    height, width, channels = train.image.shape
    images.check_same_shape(train, test)
    if height != width:
        raise DataError(
            f"{train.where}: found {images.described(train.image)}, expected a square; or set size"
        )
    try:
        architecture(height, channels, None)
    except ValueError as error:
        raise DataError(f"{train.where}: {error}; or set size") from None
    return height, width, channels


def _fitted(step: Step, directory: Path, count: int, classes: int) -> reference.Reference:
    rows = evenly(count, reference.FITTED)
    labels = image_shards.read_labels(directory / TRAIN)
    return reference.fit(
        joined(image_shards.read(directory / TRAIN, rows)),
        None if labels is None else labels[rows],
        classes,
        step.integer("clusters") % 2**32,
    )


def _accuracy(directory: Path, classifier: reference.Reference, count: int) -> dict[str, float]:
    """Return the share of test images that the classifier gets right, if there are labels."""
    labels = image_shards.read_labels(directory / TEST)
    if not classifier.labelled or labels is None:
        return {}
    rows = evenly(count, TESTED)
    test = joined(image_shards.read(directory / TEST, rows))
    return {"accuracy_of_classes": float((classifier.classes(test) == labels[rows]).mean())}


def joined(parts: Iterable[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Return the images of several arrays in one."""
    return np.concatenate(list(parts))
