"""Shapes of the networks, with sizes and costs that are computed without torch.

The published network (P1 appendix 9) has five convolutions with 32 to 512 channels, a mirrored
decoder and 128 latent dimensions. Kernels, strides, norms and activations were not published. Ours
halve the image at every convolution (kernel 4, stride 2, so that transposed convolutions leave no
checkerboard), with group norm, under which, unlike batch norm, no image depends on another.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

#: Smallest side in pixels of images for which the network is the published one.
PUBLISHED_SIZE = 64
PUBLISHED_WIDTHS, PUBLISHED_LATENT = (32, 64, 128, 256, 512), 128
SMALL_WIDTHS, SMALL_LATENT = (32, 64), 16

KERNEL = 4
#: Number of groups of a group norm; every width is a multiple of it.
GROUPS = 8


class Architecture(NamedTuple):
    """Shape of a variational autoencoder of square images."""

    size: int
    channels: int
    widths: tuple[int, ...]
    latent: int

    @property
    def pixels(self) -> int:
        """Number of values in an image: pixels times channels."""
        return self.size**2 * self.channels

    @property
    def bottleneck(self) -> int:
        """Side in pixels after the last convolution."""
        return self.size // 2 ** len(self.widths)

    @property
    def flat(self) -> int:
        """Number of values after the last convolution."""
        return self.widths[-1] * self.bottleneck**2

    def parameters(self) -> int:
        """Return the number of parameters."""
        ends = (self.channels, *self.widths)
        weights = sum(KERNEL**2 * a * b for a, b in itertools.pairwise(ends))
        norms = 2 * sum(self.widths) + 2 * sum(self.widths[:-1])
        biases = sum(self.widths) + sum(ends[:-1])
        heads = 2 * (self.flat + 1) * self.latent
        return 2 * weights + norms + biases + heads + (self.latent + 1) * self.flat

    def decoder_operations(self) -> int:
        """Return the floating-point operations of decoding an image; encoding takes as many."""
        ends = (self.channels, *self.widths)
        sides = [self.size // 2**depth for depth in range(1, len(ends))]
        convolutions = sum(
            2 * KERNEL**2 * a * b * side**2
            for a, b, side in zip(ends[:-1], ends[1:], sides, strict=True)
        )
        return convolutions + 2 * self.latent * self.flat


def architecture(size: int, channels: int, latent: int | None) -> Architecture:
    """Return the network for a side in pixels: the published one from 64 on, else a small one.

    Raises
    ------
    ValueError
        If the convolutions don't halve the size without a remainder.
    """
    published = size >= PUBLISHED_SIZE
    widths = PUBLISHED_WIDTHS if published else SMALL_WIDTHS
    usual = PUBLISHED_LATENT if published else SMALL_LATENT
    if size % 2 ** len(widths):
        raise ValueError(f"found {size} pixels a side, expected a multiple of {2 ** len(widths)}")
    return Architecture(size, channels, widths, usual if latent is None else latent)
