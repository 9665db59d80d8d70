"""What is shown of an iteration: written by its evaluation, drawn later, without torch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]

#: Images of an iteration, and how many of them are reconstructed.
SHOWN, RECONSTRUCTED = 64, 10


class Portrait(NamedTuple):
    """Images of shape (images, height, width, channels).

    ``tested`` are real test images, the first of them those that are ``reconstructed``.
    """

    tested: Images
    reconstructed: Images
    samples: Images
