"""Theory over a curve: a line for a mean, and a band between bounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from collapse.families.declarations import Expectation
from collapse.plotting import style


def draw(axes: Axes, x: NDArray[Any], found: Sequence[Expectation]) -> None:
    """Draw the theory of a curve: one expectation along it, or one for each of its places.

    A curve of several kinds of theory is drawn as the least that is known.
    """
    kinds = {one.kind for one in found}
    if kinds == {"bounds"}:
        low, high = (_along(x, [getattr(one, end) for one in found]) for end in ("lower", "upper"))
        axes.plot(x, low, **line_of("bounds"))
        axes.plot(x, high, **line_of("bounds"))
        axes.fill_between(x, low, high, color="black", alpha=0.08, linewidth=0)
    elif "bounds" not in kinds:
        kind = "theory" if kinds == {"theory"} else "approximation"
        axes.plot(x, _along(x, [one.mean for one in found]), **line_of(kind))


def line_of(kind: str) -> dict[str, Any]:
    """Return the style of the lines of a kind of theory."""
    return {"color": "black", "linestyle": style.THEORY[kind], "linewidth": 0.9}


def _along(x: NDArray[Any], parts: Sequence[NDArray[np.float64] | None]) -> NDArray[np.float64]:
    """Return one value for each place; NaN where there is none."""
    whole = [np.full(len(x) // len(parts), np.nan) if one is None else one for one in parts]
    return np.concatenate([np.atleast_1d(one) for one in whole])
