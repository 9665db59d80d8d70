"""Pictures of what the models of an experiment make, drawn by the family."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def write(
    portraits: Sequence[tuple[tuple[str, str, int], str]], *, family: str, directory: Path
) -> None:
    """Draw the portraits of one seed, each with its point, regime and iteration."""
    from collapse import families
    from collapse.plotting.portraits import IterationFile

    draw = families.load_pictures(families.load(family))
    draw([IterationFile(*place, path) for place, path in portraits], directory)
