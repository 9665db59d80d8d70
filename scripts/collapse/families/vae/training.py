"""Training a variational autoencoder on stored images."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from collapse.data.images import shards as image_shards
from collapse.data.images.shards import Shape, Stored
from collapse.errors import JobError
from collapse.families.step_jobs import TrainJob
from collapse.families.vae import Parameters, evaluation, models
from collapse.families.vae.architectures import architecture
from collapse.families.vae.models import VAE
from collapse.training import distributed, trainer
from collapse.training.epochs import Epochs
from collapse.training.optimisation import Optimisation, planned

Images = NDArray[np.uint8]

#: File name of the training images in the scratch folder.
STORED = "images.bin"
#: Largest number of test images for a point of the learning curve.
CURVE_IMAGES = 512


def train(
    job: TrainJob[Parameters],
    images: Iterable[Images],
    *,
    shape: Shape,
    test: Images,
    weights: NDArray[np.float64] | None = None,
) -> dict[str, Any]:
    """Train a newly initialised model, or the model of the iteration before, and save it.

    Parameters
    ----------
    images : iterable of ndarray of uint8, shape (any, height, width, channels)
        The training set, part by part.
    shape : tuple of int
        Shape of an image.
    test : ndarray
        Real test images for the learning curve.
    weights : ndarray or None
        How much each image of the training set counts; None means 1.

    Returns
    -------
    dict
        Numbers of parameters, images and training steps, and the learning curve.
    """
    with distributed.joined() as ranks:
        if ranks.first:
            image_shards.store(images, job.scratch / STORED)
        ranks.wait()
        stored = image_shards.Stored(job.scratch / STORED, shape)
        if stored.length < job.parameters.batch:
            raise JobError(
                f"{job.parameters.data}: found {stored.length} training images, expected at least "
                f"a batch of {job.parameters.batch}; set batch to at most {stored.length}"
            )
        layout = architecture(shape[0], shape[2], job.parameters.latent)
        noise = job.step.integer("noise")
        batches = Batches(
            stored,
            job.parameters.batch,
            layout.latent,
            shuffle=lambda epoch: job.step.stream(f"order of epoch {epoch}"),
            noise_of=lambda number: noise + number,
            weights=weights,
        )
        if job.previous is not None:
            network = models.read(job.previous)
        else:
            seed = job.step.integer("initialisation")
            network = models.initialised(layout, job.parameters.noise, seed)
        optimisation = _optimisation(job.parameters, batches.steps_per_epoch)
        curve = trainer.train(
            Fitting(models.arranged(network, ranks.device), batches, test),
            optimisation,
            state=job.scratch,
            fingerprint=job.fingerprint,
            seed_of=lambda number: number,  # all noise comes with the batches
        )
        if ranks.first:
            models.save(network, job.model)
    return {
        "parameters": network.shape.parameters(),
        "images": stored.length,
        "steps": optimisation.steps,
        "curve": [point._asdict() for point in curve],
    }


def _optimisation(parameters: Parameters, steps_per_epoch: int) -> Optimisation:
    return planned(
        parameters,
        max(1, round(parameters.epochs * steps_per_epoch)),
        weight_decay=parameters.weight_decay,
        clip=None,
        precision=parameters.precision,
    )


class Batches:
    """Batches of stored images, in a new order in every epoch, and of noise for them.

    Parameters
    ----------
    images : Stored
    batch : int
        Images in a batch, at most as many as are stored.
    latent : int
        Number of latent dimensions, which the noise has too.
    shuffle : callable
        Returns the random stream of the order of an epoch.
    noise_of : callable
        Returns the seed of the noise of a training step.
    weights : ndarray or None
        How much each image counts; None means 1.
    """

    def __init__(
        self,
        images: Stored,
        batch: int,
        latent: int,
        *,
        shuffle: Callable[[int], np.random.Generator],
        noise_of: Callable[[int], int],
        weights: NDArray[np.float64] | None = None,
    ) -> None:
        self._images = images
        self._size, self._latent = batch, latent
        self._noise_of = noise_of
        self._weights = None if weights is None else weights.astype(np.float32)
        self._epochs = Epochs(batch, lambda epoch: shuffle(epoch).permutation(images.length))
        self.steps_per_epoch = self._epochs.steps_per_epoch

    def batch(self, step: int) -> dict[str, Tensor]:
        """Return the images and the noise of a training step, counted from 0.

        Returns
        -------
        dict of str to Tensor
            ``images`` of uint8, shape (batch, height, width, channels), and standard normal
            ``noise``, shape (batch, latent); if images have weights, ``weights``, shape (batch,).
        """
        generator = torch.Generator().manual_seed(self._noise_of(step))
        rows = self._epochs.batch(step)
        batch = {
            "images": torch.from_numpy(self._images.at(rows)),
            "noise": torch.randn(self._size, self._latent, generator=generator),
        }
        if self._weights is not None:
            batch["weights"] = torch.from_numpy(self._weights[rows])
        return batch


class Fitting:
    """The task of the training loop: to maximise the evidence lower bound of images."""

    unit = "images"

    def __init__(self, model: VAE, batches: Batches, test: Images) -> None:
        self.model: torch.nn.Module = model
        self._batches = batches
        self._test = test

    def batch(self, step: int) -> dict[str, Tensor]:
        return self._batches.batch(step)

    def weight(self, batch: trainer.Batch) -> float:
        return float(len(batch["images"]))

    def loss(self, model: torch.nn.Module, rows: trainer.Batch) -> Tensor:
        terms = model(rows["images"], rows["noise"])
        losses = terms.reconstruction + terms.divergence
        return (losses * rows["weights"] if "weights" in rows else losses).sum()

    def test_loss(self, model: torch.nn.Module) -> float:
        return evaluation.loss(cast(VAE, model), [self._test], seed=0, draws=1).total
