"""The counted work of the vae family's steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collapse.families.vae.architectures import PUBLISHED_SIZE, architecture
from collapse.families.work import Work, Workload

if TYPE_CHECKING:
    from collapse.families.vae import Parameters

#: Side in pixels and channels of the images of sources for which they are known, and their number
#: of training and test images.
SHAPES = {"digits": (8, 1), "celeba": (64, 3)}
IMAGES = {"digits": (1437, 360), "celeba": (162_600, 19_900)}

#: Draws from the posterior of each test image, test images of a point of the learning curve, and
#: images evaluated at once.
DRAWS, CURVE_IMAGES, AT_ONCE = 4, 512, 256
#: Largest number of training images to which modes and classes are fitted, and seconds for each
#: value of one.
FITTED, FIT = 20_000, 2e-7
#: Seconds to write or read a pixel's value, with that of the noise of an image.
VALUE, NOISE = 1e-8, 2e-5

#: The libraries that each step imports.
LIBRARIES = {
    "prepare": ("torch", "sklearn"),
    "train": ("torch",),
    "generate": ("torch",),
    "evaluate": ("torch",),
}


def shape(parameters: Parameters) -> tuple[int, int]:
    """Return size and channels of the images, those of CelebA where only the files tell."""
    known = SHAPES.get(parameters.data.partition(":")[0], (PUBLISHED_SIZE, 3))
    return parameters.size or known[0], known[1]


class VAEWork(Workload["Parameters"]):
    """The work of the steps of a variational autoencoder."""

    libraries = LIBRARIES

    def __init__(self, parameters: Parameters) -> None:
        super().__init__(parameters)
        self.network = architecture(*shape(parameters), parameters.latent)
        known = IMAGES.get(parameters.data.partition(":")[0], IMAGES["celeba"])
        self.images = parameters.images or known[0]
        self.tested = parameters.test_images or known[1]
        self.sample_bytes = 0.8 * self.network.pixels  # compressed pixels take less than a byte
        self.model_bytes = 4.0 * self.network.parameters()

    def prepare(self, samples: int) -> Work:
        """Count reading images, and fitting modes and classes to some of them."""
        fitted = min(self.images, FITTED) * self.network.pixels * FIT
        return Work(core=(self.images + self.tested) * self.network.pixels * VALUE + fitted)

    def train(self, samples: int, iteration: int) -> Work:
        """Count forward and backward passes of both networks, and the learning curve."""
        batch = min(self.parameters.batch, samples)
        updates = max(1.0, self.parameters.epochs * (samples // batch))
        # The backward pass costs twice the forward pass.
        update = self._work(155, 6 * batch).times(updates) + Work(core=updates * 2e-4)
        points = max(1, self.parameters.curve_points)
        return update + self._passes(min(self.tested, CURVE_IMAGES), draws=1).times(points)

    def generate(self, samples: int) -> Work:
        """Count decoding, and the noise of each image."""
        decoded = self._work(64, AT_ONCE).times(max(1.0, samples / AT_ONCE))
        return decoded + Work(core=samples * (NOISE + self.network.pixels * VALUE))

    def evaluate(self, samples: int, trained: int) -> Work:
        """Count losses of real test images, and distances of samples from training images."""
        distances = 2.0 * samples * trained * self.network.pixels
        read = (self.tested + trained) * self.network.pixels * VALUE
        return self._passes(self.tested, DRAWS) + Work(
            core=read + DRAWS * self.tested * NOISE, flops=distances
        )

    def _passes(self, images: int, draws: int) -> Work:
        """Count encoding images once and decoding them ``draws`` times."""
        batches = max(1.0, images / AT_ONCE)
        return self._work(50 * (1 + draws), (1 + draws) * images / batches).times(batches)

    def _work(self, calls: float, decoded: float) -> Work:
        """Return work that costs as much as decoding so many images; encoding costs the same."""
        return Work(
            kind="convolution",
            calls=calls * len(self.network.widths) / 2,
            flops=decoded * self.network.decoder_operations(),
            size=self.network.parameters(),
        )
