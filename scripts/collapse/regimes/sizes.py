"""Sizes: numbers of samples as a study writes them, counts or multiples of n depending on t."""

from __future__ import annotations

import functools
import re
from typing import Annotated

from pydantic import Field, StringConstraints

_NUMBER = r"\d+(\.\d+)?"
_SIZE = rf"^({_NUMBER})?t?n(\*({_NUMBER}\^\(t-1\)|t\^-?{_NUMBER}))?$"
_SIZE_PARTS = re.compile(
    r"(?P<factor>[\d.]+)?(?P<t>t)?n(\*((?P<ratio>[\d.]+)\^\(t-1\)|t\^(?P<power>-?[\d.]+)))?"
)

#: A number of samples: an integer, or a multiple of the experiment's ``samples`` n that may depend
#: on the iteration t, such as ``n``, ``0.5n``, ``tn`` (t times n), ``n*1.1^(t-1)`` (geometric) or
#: ``n*t^1.5`` (a power of t).
Size = (
    Annotated[int, Field(strict=True, ge=0)]
    | Annotated[str, StringConstraints(pattern=_SIZE, strict=True)]
)


def samples_in(size: int | str, n: int, t: int) -> int:
    """Return the number of samples that a size stands for at iteration t, rounded."""
    if isinstance(size, int):
        return size
    factor, ratio, power = _parse(size)
    try:
        return int(factor * t**power * n * ratio ** (t - 1) + 0.5)
    except OverflowError:
        raise ValueError(f"{size} is too large a number of samples at iteration {t}") from None


def samples_at(size: int | str, n: int, iterations: range) -> list[int]:
    """Return the values of `samples_in` at these iterations."""
    if isinstance(size, int) or _parse(size)[1:] == (1, 0):
        return [samples_in(size, n, 1)] * len(iterations)
    return [samples_in(size, n, t) for t in iterations]


@functools.cache
def _parse(size: str) -> tuple[float, float, float | int]:
    parts = _SIZE_PARTS.fullmatch(size)
    if parts is None:
        raise ValueError(f"not a size: {size!r}")
    power: float | int = int(parts["t"] is not None)
    if parts["power"]:
        power += float(parts["power"])
    return float(parts["factor"] or 1), float(parts["ratio"] or 1), power
