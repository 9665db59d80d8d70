"""Real data: toy data sets, text, images and molecules, split into train and test."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def evenly(count: int, most: int) -> NDArray[np.int64]:
    """Return the places of at most ``most`` of ``count`` rows, evenly spaced from the first on."""
    return np.arange(min(count, most)) * count // min(count, most)
