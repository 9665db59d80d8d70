"""The steps of an iteration of variational autoencoders.

Modules that take seconds to import are imported by the steps that compute with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collapse import rarefaction
from collapse.artifacts import manifest, shard_rows, training_sets
from collapse.artifacts.manifest import ShardRecord
from collapse.artifacts.paths import DATASET
from collapse.artifacts.step import Step
from collapse.artifacts.training_sets import Selection
from collapse.data import evenly
from collapse.data.images import shards as image_shards
from collapse.data.images import sources as images
from collapse.data.images.sources import Labelled
from collapse.errors import DataError, JobError
from collapse.families.step_jobs import (
    EvaluateJob,
    GenerateJob,
    PortrayJob,
    Prepared,
    ScoreJob,
    StepJob,
    Steps,
    TrainJob,
)
from collapse.families.vae import Parameters, reference
from collapse.families.vae.architectures import architecture
from collapse.families.vae.portrait import RECONSTRUCTED, SHOWN, Portrait
from collapse.plotting import portraits
from collapse.progress import track

TRAIN, TEST, REFERENCE = "train.parquet", "test.parquet", "reference.npz"

#: Largest number of test images that samples are compared with, and of training images among which
#: the nearest is sought. It is a number, not a share, because more images are nearer.
TESTED, NEAREST_AMONG = 1000, 1000


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
        _joined(image_shards.read(directory / TRAIN, rows)),
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
    test = _joined(image_shards.read(directory / TEST, rows))
    return {"accuracy_of_classes": float((classifier.classes(test) == labels[rows]).mean())}


def _joined(parts: Iterable[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    return np.concatenate(list(parts))


def train(job: TrainJob[Parameters]) -> dict[str, Any]:
    """Train a newly initialised model, or the model of the iteration before."""
    from collapse.families.vae import training

    details = _details(job.data)
    rows = evenly(details["test_images"], training.CURVE_IMAGES)
    return training.train(
        job,
        _images(job.selections),
        weights=training_sets.weights_of(job.selections),
        shape=tuple(details["shape"]),
        test=_joined(image_shards.read(job.data / TEST, rows)),
    )


def _images(selections: Iterable[Selection]) -> Iterator[NDArray[np.uint8]]:
    for selection in selections:
        yield from image_shards.read(Path(str(selection.path)), selection.rows)


def _details(data: Path) -> dict[str, Any]:
    described = manifest.read_dataset(data / DATASET)
    return {**described.details, "test_images": sum(part.stop for part in described.test)}


def generate(job: GenerateJob[Parameters]) -> dict[str, Any]:
    """Sample an image for each slot, from a random stream of its own."""
    from collapse.families.vae import evaluation, models

    network = models.load(job.model)
    seeds = [job.step.integer(job.purpose("samples", each)) for each in job.candidates]
    shape = network.shape

    def drawn() -> Iterator[tuple[NDArray[np.uint8], None]]:
        size = evaluation.BATCH
        parts = [
            (seed, job.slots[start : start + size])
            for seed in seeds
            for start in range(0, len(job.slots), size)
        ]
        total = len(seeds) * len(job.slots)
        shown = track(parts, "sampling", total, unit="images", size=lambda part: len(part[1]))
        for seed, part in shown:
            yield from ((image, None) for image in models.sample(network, seed, part))

    image_shards.write(job.output, drawn(), (shape.size, shape.size, shape.channels))
    return {}


def score(job: ScoreJob[Parameters]) -> NDArray[np.float64]:
    """Score images by the modes and classes of the real ones."""
    fitted = reference.load(job.data / REFERENCE)
    if job.name == "confidence" and not fitted.labelled:
        raise JobError(
            f"score {job.name}: found no labels in {job.parameters.data}, expected real images "
            "with classes"
        )
    measure = fitted.confidence if job.name == "confidence" else fitted.distances
    parts = [measure(part) for part in image_shards.read(job.samples)]
    return np.concatenate(parts).astype(np.float64)


def evaluate(job: EvaluateJob[Parameters]) -> dict[str, float]:
    """Evaluate the model on real test images, and its samples."""
    from collapse.families.vae import evaluation, models

    network = models.load(job.model)
    found = evaluation.loss(
        network, image_shards.read(job.data / TEST), job.step.integer("draws from posteriors")
    )
    constant = models.constant(network.shape, network.noise)
    metrics = {
        "test_loss": found.total,
        "test_reconstruction": found.reconstruction,
        "test_kl": found.divergence,
        "test_elbo": -found.total - constant,
        "active_units": found.active_units,
    }
    if job.shards:
        metrics |= _compared(job)
    return metrics


def _compared(job: EvaluateJob[Parameters]) -> dict[str, float]:
    """Return the metrics of samples, and what as many real test images have in their place."""
    from collapse.families.vae import evaluation

    described = manifest.read_dataset(job.data / DATASET)
    real, tested = (sum(part.stop for part in split) for split in (described.train, described.test))
    samples = _samples(job.shards, job.parameters.judged)
    test = _joined(image_shards.read(job.data / TEST, evenly(tested, TESTED)))
    classifier = reference.load(job.data / REFERENCE)
    number = rarefaction.equal_number(len(samples), len(test))
    among = min(NEAREST_AMONG, real, sum(len(one.rows) for one in job.selections))
    trained_on = image_shards.read(job.data / TRAIN, evenly(real, among))
    of_data = evaluation.of_samples(
        test, classifier=classifier, trained_on=trained_on, number=number
    )
    return {
        "variance_ratio": evaluation.spread(samples) / evaluation.spread(test),
        **evaluation.of_samples(
            samples,
            classifier=classifier,
            trained_on=_images(_evenly_selected(job.selections, among)),
            number=number,
        ),
        **{f"{name}_of_data": value for name, value in of_data.items()},
    }


def _evenly_selected(selections: Sequence[Selection], count: int) -> Iterator[Selection]:
    """Yield as many evenly spaced rows of a training set, one selection for each file."""
    chosen = evenly(sum(len(one.rows) for one in selections), count)
    start = 0
    for one in selections:
        stop = start + len(one.rows)
        mine = chosen[np.searchsorted(chosen, start) : np.searchsorted(chosen, stop)]
        if len(mine):
            yield one._replace(rows=one.rows[mine - start])
        start = stop


def _samples(shards: Sequence[ShardRecord], most: int) -> NDArray[np.uint8]:
    """Return the first samples of the shards, at most ``most``."""
    found = shard_rows.first(shards, most)
    return _joined(part for path, rows in found for part in image_shards.read(path, rows))


def portray(job: PortrayJob[Parameters]) -> None:
    """Write the first samples, and reconstructions of the same test images at every iteration."""
    import torch

    from collapse.families.vae import models

    test = evenly(_details(job.data)["test_images"], SHOWN)
    tested = _joined(image_shards.read(job.data / TEST, test))
    network = models.load(job.model)
    device = next(network.parameters()).device
    with torch.no_grad():
        pixels = models.as_pixels(torch.from_numpy(tested[:RECONSTRUCTED]).to(device))
        mean, _ = network.encode(pixels)
        reconstructed = models.as_images(network.decode(mean))
    portraits.write(
        job.output,
        Portrait(
            tested=tested,
            reconstructed=reconstructed,
            samples=_samples(job.shards, SHOWN) if job.shards else tested[:0],
        ),
    )


STEPS = Steps(
    prepare=prepare,
    train=train,
    generate=generate,
    evaluate=evaluate,
    portray=portray,
    score=score,
)
