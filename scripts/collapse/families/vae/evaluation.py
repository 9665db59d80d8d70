"""Metrics of a model on real test images, and metrics of its samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from collapse.families.vae import models, reference
from collapse.families.vae.models import VAE
from collapse.families.vae.reference import Reference

Images = NDArray[np.uint8]

#: Number of images that are evaluated at once.
BATCH = 256
#: Number of draws from the posterior of each test image.
DRAWS = 4
#: A latent dimension is active if the variance of its posterior mean over images exceeds this
#: (Burda et al. 2016, section 5.3).
ACTIVE = 0.01


class Loss(NamedTuple):
    """Mean terms of the loss, in nats per image, and the number of active latent dimensions."""

    reconstruction: float
    divergence: float
    active_units: int

    @property
    def total(self) -> float:
        """Sum of both terms, minus the evidence lower bound up to a constant."""
        return self.reconstruction + self.divergence


def loss(network: VAE, images: Iterable[Images], seed: int, draws: int = DRAWS) -> Loss:
    """Return the loss of a model on images, however they are divided into parts.

    Parameters
    ----------
    network : VAE
        The model, on its device and in evaluation mode.
    images : iterable of ndarray of uint8, shape (any, height, width, channels)
    seed : int
        Seed of the draws from the posteriors, which are the same on every device.
    draws : int
        Number of draws from each posterior.
    """
    device = next(network.parameters()).device
    errors = divergences = 0.0
    means = squares = np.zeros(network.shape.latent)
    count = 0
    with torch.no_grad():
        for part in batches(images):
            pixels = models.as_pixels(torch.from_numpy(part).to(device))
            mean, log_variance = network.encode(pixels)
            for draw in range(draws):
                slots = range(count * draws + draw, (count + len(part)) * draws + draw, draws)
                noise = models.latents(seed, slots, network.shape.latent)
                drawn = torch.from_numpy(noise).to(device)
                found = network.errors(pixels, mean, log_variance, drawn)
                errors += float(found.double().sum()) / draws
            divergences += float(models.divergence(mean, log_variance).double().sum())
            means = means + mean.double().sum(0).cpu().numpy()
            squares = squares + mean.double().square().sum(0).cpu().numpy()
            count += len(part)
    variances = squares / count - np.square(means / count)
    return Loss(errors / count, divergences / count, int((variances > ACTIVE).sum()))


def batches(images: Iterable[Images]) -> Iterator[Images]:
    """Yield images in batches of one size, however they are divided into parts."""
    rest: list[Images] = []
    held = 0
    for part in images:
        for start in range(0, len(part), BATCH):
            rest.append(part[start : start + BATCH])
            held += len(rest[-1])
            if held >= BATCH:
                joined = np.concatenate(rest)
                yield joined[:BATCH]
                rest, held = [joined[BATCH:]], held - BATCH
    if held:
        yield np.concatenate(rest)


def spread(images: Images) -> float:
    """Return the variance over images of values from 0 to 1, averaged over pixels and channels.

    It is unbiased, so that it does not depend on the number of images; of one image it is NaN.
    """
    if len(images) < 2:
        return float("nan")
    return float((images / np.float32(255)).var(axis=0, dtype=np.float64, ddof=1).mean())


def of_samples(
    samples: Images,
    *,
    classifier: Reference,
    trained_on: Iterable[Images],
    number: int,
) -> dict[str, float]:
    """Return the metrics of sampled images that are compared with those of real ones.

    Parameters
    ----------
    samples : ndarray of uint8, shape (samples, height, width, channels)
    classifier : Reference
        It assigns modes and classes, and is fitted to real training images.
    trained_on : iterable of ndarray
        Images that their model was trained on, the same number for all that is compared.
    number : int
        Number of samples in the subset of which modes and classes are counted.
    """
    modes = classifier.modes(samples)
    metrics = {
        "effective_modes": reference.effective_number(modes, number),
        "nearest_distance": float(nearest(samples, trained_on).mean()),
    }
    if classifier.labelled:
        classes = classifier.classes(samples)
        metrics["effective_classes"] = reference.effective_number(classes, number)
        metrics["largest_class_share"] = reference.largest_share(classes, number)
    return metrics


def nearest(images: Images, others: Iterable[Images]) -> NDArray[np.float64]:
    """Return each image's distance from the nearest other, the RMS difference of its pixels."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rows = _flat(images, device)
    norms = rows.square().sum(1)
    least = torch.full_like(norms, torch.inf)
    for part in batches(others):
        columns = _flat(part, device)
        # This is |a - b|² - |a|², in which float32 resolves a thousandth of a pixel's range.
        found = (columns.square().sum(1) - 2 * rows @ columns.T).min(1).values
        least = torch.minimum(least, found)
    squared = (least + norms).clamp(min=0) / rows.shape[1]
    return squared.sqrt().double().cpu().numpy()


def _flat(images: Images, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(images).to(device).flatten(1).float() / 255
