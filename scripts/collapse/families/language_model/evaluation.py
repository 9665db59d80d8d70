"""Metrics of generated stories that need the built-in grammar."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from collapse.data.text import stories
from collapse.text import metrics


def of_stories(texts: Sequence[str]) -> dict[str, float]:
    """Return the share of grammatical texts, and how well they cover the plots of the grammar."""
    parsed = [stories.parse(text) for text in texts]
    modes = np.array([story.mode for story in parsed if story is not None], dtype=np.int64)
    return {
        "grammatical_share": len(modes) / len(parsed),
        **metrics.compared_modes(modes, stories.mode_probabilities()),
    }
