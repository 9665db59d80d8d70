"""The variational autoencoder: its encoder, decoder, evidence lower bound and checkpoints.

An image x has pixels in [0, 1]. The decoder gives the mean of a Gaussian with a fixed standard
deviation s (``noise``): p(x | z) = N(x; decoder(z), s²), with the prior p(z) = N(0, 1) and the
posterior q(z | x) = N(mean(x), variance(x)), diagonal. A sample is the decoder's mean, so that a
direction in which the data vary by less than s is lost in one iteration: a linear model trained on
samples of the model before loses s² of the variance in every direction.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from collapse.artifacts import files, remedies
from collapse.families.vae.architectures import GROUPS, KERNEL, Architecture

WEIGHTS, CONFIGURATION = "model.safetensors", "config.json"

#: Lower and upper bound of the natural logarithm of a posterior's variance.
LOG_VARIANCES = (-20.0, 10.0)

#: Number of images that are decoded at once, always of the same slots, because rounding in a
#: convolution depends on the number of images.
BLOCK = 64


class Terms(NamedTuple):
    """Both terms of the loss of every image, in nats, each of shape (images,).

    ``reconstruction`` is the squared error over 2 s², which is -log p(x | z) up to `constant`.
    ``divergence`` is KL(q(z | x) || p(z)).
    """

    reconstruction: Tensor
    divergence: Tensor


class VAE(nn.Module):
    """A convolutional variational autoencoder.

    Parameters
    ----------
    shape : Architecture
    noise : float
        Standard deviation s of a pixel given the latent.
    """

    def __init__(self, shape: Architecture, noise: float) -> None:
        super().__init__()
        self.shape, self.noise = shape, noise
        self.encoder = nn.Sequential(*_encoder(shape))
        self.mean = nn.Linear(shape.flat, shape.latent)
        self.log_variance = nn.Linear(shape.flat, shape.latent)
        self.decoder = nn.Sequential(*_decoder(shape))

    def encode(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of the posterior, each of shape (images, latent).

        Parameters
        ----------
        pixels : Tensor, shape (images, channels, height, width)
            Values from 0 to 1.
        """
        hidden = self.encoder(pixels)
        return self.mean(hidden).float(), self.log_variance(hidden).float().clamp(*LOG_VARIANCES)

    def decode(self, latents: Tensor) -> Tensor:
        """Return the mean images, of shape (images, channels, height, width), from 0 to 1."""
        return self.decoder(latents).float().sigmoid()

    def errors(self, pixels: Tensor, mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
        """Return the reconstruction term of each image, at one draw from its posterior."""
        decoded = self.decode(mean + noise * (0.5 * log_variance).exp())
        return (decoded - pixels).square().flatten(1).sum(1) / (2 * self.noise**2)

    def forward(self, images: Tensor, noise: Tensor) -> Terms:
        """Return the terms of the loss, at one draw from each posterior.

        Parameters
        ----------
        images : Tensor of uint8, shape (images, height, width, channels)
        noise : Tensor, shape (images, latent)
            Draws from a standard normal distribution.
        """
        pixels = as_pixels(images)
        mean, log_variance = self.encode(pixels)
        errors = self.errors(pixels, mean, log_variance, noise)
        return Terms(errors, divergence(mean, log_variance))


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return KL(N(mean, variance) || N(0, 1)) of each row, summed over its dimensions."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)


def constant(shape: Architecture, noise: float) -> float:
    """Return the part of -log p(x | z) that no weight changes, in nats per image."""
    return 0.5 * shape.pixels * math.log(2 * math.pi * noise**2)


def as_pixels(images: Tensor) -> Tensor:
    """Return images as values from 0 to 1, with channels first in shape and last in memory."""
    return images.permute(0, 3, 1, 2).float() / 255


def as_images(pixels: Tensor) -> NDArray[np.uint8]:
    """Return pixels as 8-bit images of shape (images, height, width, channels)."""
    whole = (pixels * 255).round().clamp(0, 255).to(torch.uint8)
    return whole.permute(0, 2, 3, 1).cpu().numpy()


def _encoder(shape: Architecture) -> list[nn.Module]:
    layers: list[nn.Module] = []
    before = shape.channels
    for width in shape.widths:
        layers.append(nn.Conv2d(before, width, KERNEL, stride=2, padding=1))
        layers += [nn.GroupNorm(GROUPS, width), nn.LeakyReLU()]
        before = width
    return [*layers, nn.Flatten()]


def _decoder(shape: Architecture) -> list[nn.Module]:
    side = shape.bottleneck
    layers: list[nn.Module] = [
        nn.Linear(shape.latent, shape.flat),
        nn.Unflatten(1, (shape.widths[-1], side, side)),
        nn.LeakyReLU(),
    ]
    before = shape.widths[-1]
    for width in shape.widths[-2::-1]:
        layers.append(nn.ConvTranspose2d(before, width, KERNEL, stride=2, padding=1))
        layers += [nn.GroupNorm(GROUPS, width), nn.LeakyReLU()]
        before = width
    return [*layers, nn.ConvTranspose2d(before, shape.channels, KERNEL, stride=2, padding=1)]


def initialised(shape: Architecture, noise: float, seed: int) -> VAE:
    """Return a newly initialised model, the same for the same seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return VAE(shape, noise)


def arranged(network: VAE, device: torch.device) -> VAE:
    """Move a model to a device, in the memory format of its fastest convolutions."""
    network.to(device)
    if device.type == "cuda":
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def save(network: VAE, directory: Path) -> None:
    """Write a checkpoint into a directory: weights, and the shape of the network with its noise."""
    # safetensors saves contiguous tensors only, and those with channels last are not contiguous.
    weights = {name: value.cpu().contiguous() for name, value in network.state_dict().items()}
    safetensors.torch.save_file(weights, directory / WEIGHTS)
    content = {**network.shape._asdict(), "noise": network.noise}
    files.write_text(directory / CONFIGURATION, json.dumps(content, indent=1) + "\n")


def read(directory: Path) -> VAE:
    """Read a checkpoint, on the CPU.

    Raises
    ------
    DamagedFileError
        If its weights don't have the shapes that its configuration says, or it is not whole.
    """
    with remedies.reading(directory, "the checkpoint can't be loaded"):
        content: dict[str, Any] = json.loads(
            (directory / CONFIGURATION).read_text(encoding="utf-8")
        )
        noise = float(content.pop("noise"))
        shape = Architecture(**{**content, "widths": tuple(content["widths"])})
        network = VAE(shape, noise)
        network.load_state_dict(safetensors.torch.load_file(directory / WEIGHTS))
    return network


def load(directory: Path) -> VAE:
    """Load a checkpoint for evaluation, on a GPU if there is one; see `read`."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return arranged(read(directory), device).eval()


def latents(seed: int, slots: range | Sequence[int], dimensions: int) -> NDArray[np.float32]:
    """Draw a latent from the prior for each slot, of shape (slots, dimensions).

    Every slot has a stream of its own, a part of the sequence of a Philox generator that no
    other slot reaches, so that a latent does not depend on the other slots.
    """
    rows = np.empty((len(slots), dimensions), np.float32)
    for row, slot in zip(rows, slots, strict=True):
        stream = np.random.Generator(np.random.Philox(key=seed, counter=slot << 64))
        stream.standard_normal(dtype=np.float32, out=row)
    return rows


def sample(network: VAE, seed: int, slots: Sequence[int]) -> NDArray[np.uint8]:
    """Draw an image for each slot: the decoder's mean for a latent drawn from the prior.

    Returns
    -------
    ndarray of uint8, shape (len(slots), height, width, channels)
        An image does not depend on the other slots.
    """
    shape = network.shape
    device = next(network.parameters()).device
    drawn = np.empty((len(slots), shape.size, shape.size, shape.channels), np.uint8)
    places = np.asarray(slots, dtype=np.int64)
    with torch.no_grad():
        for first in np.unique(places // BLOCK * BLOCK).tolist():
            block = range(first, first + BLOCK)
            rows = torch.from_numpy(latents(seed, block, shape.latent)).to(device)
            images = as_images(network.decode(rows))
            here = np.flatnonzero(places // BLOCK * BLOCK == first)
            drawn[here] = images[places[here] - first]
    return drawn
