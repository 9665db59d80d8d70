"""Portraits: what is shown of an iteration, as arrays in a file (`PicturedSteps.portray`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

Portrait = TypeVar("Portrait", bound=tuple[Any, ...])


class Record(NamedTuple):
    """The record of an iteration's training, and where in which chain it stands."""

    point: str
    regime: str
    iteration: int
    path: str


def write(path: Path, portrait: Any) -> None:
    """Write a named tuple of arrays."""
    with open(path, "wb") as file:
        np.savez_compressed(file, **portrait._asdict())


def read(path: str | Path, kind: type[Portrait]) -> Portrait:
    """Read what `write` wrote, as the named tuple that it was."""
    with np.load(path, allow_pickle=False) as arrays:
        return kind(**arrays)


def by_point(
    records: Sequence[Record], kind: type[Portrait]
) -> dict[str, dict[str, dict[int, Portrait]]]:
    """Read portraits: for each point those of its regimes, iteration by iteration."""
    points: dict[str, dict[str, dict[int, Portrait]]] = {}
    for record in records:
        regimes = points.setdefault(record.point, {})
        regimes.setdefault(record.regime, {})[record.iteration] = read(record.path, kind)
    return points
