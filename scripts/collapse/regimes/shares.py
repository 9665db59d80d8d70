"""Shares: numbers between 0 and 1 as a study writes them, which may depend on the iteration t."""

from __future__ import annotations

import functools
import re
from typing import Annotated

from pydantic import AfterValidator, Field

_NUMBER = r"(0(\.\d+)?|1(\.0+)?)"
_SHARE = rf"^(1-)?{_NUMBER}\*(t\^-\d+(\.\d+)?|{_NUMBER}\^\(t-1\))$"


def _checked(share: str) -> str:
    if re.fullmatch(_SHARE[1:-1], share) is None:
        raise ValueError("a number from 0 to 1, or 1*t^-1, 0.5*0.9^(t-1) or 1-0.5*t^-1")
    return share


_SHARE_PARTS = re.compile(
    r"(?P<rest>1-)?(?P<factor>[\d.]+)\*(t\^(?P<power>-[\d.]+)|(?P<ratio>[\d.]+)\^\(t-1\))"
)

#: A share: a number from 0 to 1, or a schedule of the iteration t that stays between them, such as
#: ``1*t^-1`` (a power), ``0.5*0.9^(t-1)`` (geometric), or the rest ``1-0.5*t^-1`` of either.
Share = (
    Annotated[float, Field(strict=True, ge=0, le=1)]
    | Annotated[
        str, Field(strict=True, json_schema_extra={"pattern": _SHARE}), AfterValidator(_checked)
    ]
)


def share_at(share: float | str, t: int) -> float:
    """Return the share that holds at iteration t."""
    if not isinstance(share, str):
        return float(share)
    rest, factor, power, ratio = _parse(share)
    value = factor * t**power * ratio ** (t - 1)
    return 1 - value if rest else value


@functools.cache
def _parse(share: str) -> tuple[bool, float, float, float]:
    parts = _SHARE_PARTS.fullmatch(share)
    if parts is None:
        raise ValueError(f"not a share: {share!r}")
    ratio = 1.0 if parts["ratio"] is None else float(parts["ratio"])
    return parts["rest"] is not None, float(parts["factor"]), float(parts["power"] or 0), ratio
