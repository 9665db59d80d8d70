"""The portrait of an iteration: its evaluation writes it, and pictures show it without torch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]

#: Number of images shown of an iteration, and number of reconstructed test images.
SHOWN, RECONSTRUCTED = 64, 10


class Portrait(NamedTuple):
    """Images of shape (images, height, width, channels).

    ``tested`` are real test images; ``reconstructed`` are reconstructions of the first of them.
    """

    tested: Images
    reconstructed: Images
    samples: Images
