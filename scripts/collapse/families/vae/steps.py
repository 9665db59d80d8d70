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
from collapse.artifacts.training_sets import Selection
from collapse.data import evenly
from collapse.data.images import shards as image_shards
from collapse.errors import JobError
from collapse.families.step_jobs import (
    EvaluateJob,
    GenerateJob,
    PortrayJob,
    ScoreJob,
    Steps,
    TrainJob,
)
from collapse.families.vae import Parameters, reference
from collapse.families.vae.portrait import RECONSTRUCTED, SHOWN, Portrait
from collapse.families.vae.preparation import REFERENCE, TEST, TESTED, TRAIN, joined, prepare
from collapse.plotting import portraits
from collapse.progress import track

#: Largest number of training images among which the nearest is sought. It is a number, not a share,
#: because more images are nearer.
NEAREST_AMONG = 1000


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
        test=joined(image_shards.read(job.data / TEST, rows)),
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
    test = joined(image_shards.read(job.data / TEST, evenly(tested, TESTED)))
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
    return joined(part for path, rows in found for part in image_shards.read(path, rows))


def portray(job: PortrayJob[Parameters]) -> None:
    """Write the first samples, and reconstructions of the same test images at every iteration."""
    import torch

    from collapse.families.vae import models

    test = evenly(_details(job.data)["test_images"], SHOWN)
    tested = joined(image_shards.read(job.data / TEST, test))
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
