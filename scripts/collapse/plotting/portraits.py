"""Portraits: the arrays that pictures of an iteration are drawn from, in a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

Portrait = TypeVar("Portrait", bound=tuple[Any, ...])


class IterationFile(NamedTuple):
    """A file of an iteration (its portrait or training record), and its place in the chain."""

    point: str
    regime: str
    iteration: int
    path: str


def write(path: Path, portrait: Any) -> None:
    """Write a portrait, which is a named tuple of arrays."""
    with open(path, "wb") as file:
        np.savez_compressed(file, **portrait._asdict())


def read(path: str | Path, kind: type[Portrait]) -> Portrait:
    """Read a portrait as the named tuple ``kind``."""
    with np.load(path, allow_pickle=False) as arrays:
        return kind(**arrays)


def by_point(
    records: Sequence[IterationFile], kind: type[Portrait]
) -> dict[str, dict[str, dict[int, Portrait]]]:
    """Read portraits; return them by point, regime and iteration."""
    points: dict[str, dict[str, dict[int, Portrait]]] = {}
    for record in records:
        regimes = points.setdefault(record.point, {})
        regimes.setdefault(record.regime, {})[record.iteration] = read(record.path, kind)
    return points
