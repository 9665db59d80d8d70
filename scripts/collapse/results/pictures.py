"""Pictures of what the models of an experiment make, drawn by the family."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from collapse.artifacts import remedies


def write(
    portraits: Sequence[tuple[tuple[str, str, int], str]], *, family: str, directory: Path
) -> None:
    """Draw the portraits of one seed, each with its point, regime and iteration."""
    from collapse import families
    from collapse.plotting.portraits import IterationFile
    from collapse.study.names import decoded

    for _, path in portraits:
        with remedies.reading(path), np.load(path, allow_pickle=False) as arrays:
            for array in arrays.files:
                arrays[array]  # which checks its checksum
    draw = families.load_pictures(families.load(family))
    shown = [
        IterationFile(point, decoded(regime), iteration, path)
        for (point, regime, iteration), path in portraits
    ]
    draw(shown, directory)
