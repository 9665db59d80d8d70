"""Real data."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def evenly(count: int, most: int) -> NDArray[np.int64]:
    """Return at most so many of ``count`` rows, at even distances from the first on."""
    return np.arange(min(count, most)) * count // min(count, most)
