"""The style of all figures: lines, colours, confidence bands, and how they are saved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import LogLocator, NullLocator
from numpy.typing import NDArray

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.float64]

STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.4,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "svg.hashsalt": "collapse",
    "svg.fonttype": "none",
}
#: Line styles of theory, by its kind, which is its label.
THEORY: dict[str, Any] = {"theory": "--", "bounds": (0, (4, 1, 1, 1)), "approximation": ":"}
#: Line style of a reference: the metric of a perfect model, or of real data in place of samples.
REFERENCE: Any = {"color": "grey", "linestyle": "-.", "linewidth": 0.9}
#: Markers of published values, in the colour of our curve under the same conditions.
PUBLISHED: Any = {"linestyle": "none", "marker": "o", "markersize": 5, "markerfacecolor": "none"}
#: Largest number of panels side by side.
MOST_COLUMNS = 4
#: Number of bootstrap resamples of the seeds for a confidence band.
RESAMPLES = 400
#: Colours of the regimes in the titles of panels.
REGIME_COLOURS = {
    "replace": "#c0392b",
    "accumulate": "#1f77b4",
    "accumulate-subsample": "#8e44ad",
    "replace-multiple": "#d35400",
}


def places(count: int) -> tuple[int, int]:
    """Return the rows and columns of that many panels: so few columns that they stay legible."""
    rows = -(-count // MOST_COLUMNS)
    return rows, -(-count // rows)


def save(drawing: Drawing, path: Path) -> None:
    """Write a drawing as PNG and SVG, and close it."""
    # Drawing takes most of the time, and `savefig` would draw twice for each file.
    layout = drawing.get_layout_engine()
    if layout is not None:
        layout.execute(drawing)
        drawing.set_layout_engine("none")
    drawing.set_dpi(130)
    png: Any = FigureCanvasAgg(drawing)
    png.print_png(path.with_name(f"{path.name}.png"))
    svg: Any = FigureCanvasSVG(drawing)
    svg.print_svg(path.with_name(f"{path.name}.svg"), metadata={"Date": None})
    plt.close(drawing)


def label(variable: xr.DataArray) -> str:
    """Return the long name of a variable, with its units."""
    units = "" if variable.attrs["units"] == "1" else f" [{variable.attrs['units']}]"
    return f"{variable.attrs['long_name']}{units}"


def plain_decades(axis: Axis) -> None:
    """Label a log axis of a few decades with plain numbers."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())


def verbatim(text: str) -> str:
    """Return a text as matplotlib shows it in one line, without mathematics between dollars."""
    shown = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return "".join(shown).replace("$", r"\$")


def colours_of(values: Sequence[Any] | NDArray[Any]) -> dict[Any, Any]:
    """Return a colour for each of the values by which curves differ, in order."""
    shades = matplotlib.colormaps["viridis"](np.linspace(0, 0.88, len(values)))
    return dict(zip(values, shades, strict=True))


def band(values: Array, average: str) -> tuple[Array, Array, Array]:
    """Return the average over seeds (axis 0) and both ends of its band.

    The band of a median is its quartiles. That of a mean is its 95 % confidence interval by the
    bootstrap over seeds, which stays positive where all values are. Seeds without a value are
    left out; an infinite value makes the mean infinite and the band NaN.
    """
    if average == "median":
        low, centre, high = np.nanquantile(values, [0.25, 0.5, 0.75], axis=0)
        return centre, low, high
    seeds = len(values)
    weights = np.random.default_rng(0).multinomial(seeds, np.full(seeds, 1 / seeds), RESAMPLES)
    valid = ~np.isnan(values)
    finite = np.where(np.isfinite(values), values, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        centre = np.where(valid, values, 0).sum(axis=0) / valid.sum(axis=0)
        resampled = (weights @ finite) / (weights @ valid)
        low, high = np.quantile(resampled, [0.025, 0.975], axis=0)
    banded = np.isfinite(centre)
    return centre, np.where(banded, low, np.nan), np.where(banded, high, np.nan)
