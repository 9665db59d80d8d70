"""Figures as the papers have them: regimes side by side, colour by samples, theory dashed."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from collapse import families
from collapse.families import Figure
from collapse.loop.closed_form import ChainSpec
from collapse.results import published as comparison
from collapse.results import theory_check
from collapse.study.experiment import JOINT

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
#: Line and name of theory, exact or not.
THEORY: dict[bool, Any] = {True: ("--", "theory"), False: (":", "approximation")}
#: Line of what a metric can't cross.
REFERENCE: Any = {"color": "grey", "linestyle": "-.", "linewidth": 0.9}
#: What others published, open markers in the colour of the curve beside.
PUBLISHED: Any = {"linestyle": "none", "marker": "o", "markersize": 5, "markerfacecolor": "none"}
#: Resamples of the seeds for a confidence band.
RESAMPLES = 400
#: Every regime keeps its colour, in the titles of its panels.
REGIME_COLOURS = {
    "replace": "#c0392b",
    "accumulate": "#1f77b4",
    "accumulate-subsample": "#8e44ad",
    "replace-multiple": "#d35400",
}


def draw(dataset: xr.Dataset, chains: Sequence[ChainSpec], directory: Path) -> list[Path]:
    """Draw every figure of an experiment's family, as PNG and SVG.

    Axes of the dataset that a figure has no place for give one figure for each of their
    values, named after them.
    """
    directory.mkdir(parents=True, exist_ok=True)
    by_cell = {(spec.regime_name, _cell(dataset, spec)): spec for spec in chains}
    written = []
    for figure in families.load(dataset.attrs["family"]).FIGURES:
        if not _has_something_to_show(dataset, figure):
            continue
        for suffix, page in _pages(dataset, figure):
            path = directory / (figure.name + suffix)
            with plt.rc_context(STYLE):
                save(_page(page, figure, by_cell, dataset), path)
            written.append(path)
    return written


def save(drawing: Drawing, path: Path) -> None:
    """Write a drawing as PNG and SVG, and close it."""
    drawing.draw_without_rendering()  # lays it out, once for both kinds
    drawing.set_layout_engine("none")
    for kind in ("png", "svg"):
        metadata = {"Date": None} if kind == "svg" else None
        drawing.savefig(path.with_name(f"{path.name}.{kind}"), dpi=130, metadata=metadata)
    plt.close(drawing)


def _has_something_to_show(dataset: xr.Dataset, figure: Figure) -> bool:
    """Tell whether the study varied what the figure is about, and measured it."""
    if bool(dataset[figure.metric].isnull().all()):
        return False
    return not figure.compares or dataset.sizes.get(figure.colour, 1) > 1


def _cell(dataset: xr.Dataset, spec: ChainSpec) -> tuple[tuple[str, str], ...]:
    """Return a chain's values on the parameter axes, as text, to look it up by."""
    cell = {**spec.parameters, "samples": spec.samples}
    return tuple(sorted((name, str(cell[name])) for name in _parameters(dataset)))


def _parameters(dataset: xr.Dataset) -> list[str]:
    return [str(d) for d in dataset.dims if d not in ("regime", "seed", "iteration")]


def _pages(dataset: xr.Dataset, figure: Figure) -> Iterator[tuple[str, xr.Dataset]]:
    placed = {figure.rows, figure.colour, "samples" if figure.x == "samples" else None}
    others = [name for name in _parameters(dataset) if name not in placed]
    for values in itertools.product(*(dataset[name].values for name in others)):
        chosen = dict(zip(others, values, strict=True))
        varied = [f"{name}={value}" for name, value in chosen.items() if dataset.sizes[name] > 1]
        suffix = "".join(JOINT + part for part in varied)
        yield suffix, dataset.sel({name: [value] for name, value in chosen.items()})


def _page(page: xr.Dataset, figure: Figure, by_cell: Any, dataset: xr.Dataset) -> Drawing:
    regimes = [str(regime) for regime in page["regime"].values]
    rows = list(page[figure.rows].values) if figure.rows else [None]
    drawing, panels = plt.subplots(
        len(rows),
        len(regimes),
        figsize=(1.2 + 2.5 * len(regimes), 0.9 + 1.9 * len(rows)),
        sharex=True,
        sharey="row",
        squeeze=False,
    )
    colours = colours_of(page[figure.colour].values)
    theories: set[bool] = set()
    published = False
    for (i, row), (j, regime) in itertools.product(enumerate(rows), enumerate(regimes)):
        axes = panels[i, j]
        shown = page.sel(regime=regime)
        if row is not None:
            shown = shown.sel({figure.rows: row})
        for value, colour in colours.items():
            curve = shown.sel({figure.colour: value})
            exact = _curve(axes, curve, figure, colour, regime, by_cell, dataset)
            theories |= set() if exact is None else {exact}
            published |= _publications(axes, curve, figure, colour, regime, by_cell, dataset)
        axes.set_xscale(figure.xscale)
        if figure.yscale == "log":
            axes.set_yscale("log", nonpositive="mask")
        if i == 0:
            axes.set_title(regime.replace(JOINT, "\n"), color=REGIME_COLOURS.get(regime, "black"))
        if j == 0 and row is not None:
            axes.set_ylabel(f"{figure.rows} = {row}")
        _limit(axes)
    wrapped = textwrap.fill(label(page[figure.metric]), 22 * len(rows) + 8)
    drawing.supylabel(wrapped, fontsize=9)
    drawing.supxlabel(page[figure.x].attrs["long_name"], fontsize=9)
    reference = page[figure.reference].attrs["long_name"] if figure.reference else None
    _legend(drawing, figure.colour, colours, theories, reference, published)
    return drawing


def label(variable: xr.DataArray) -> str:
    """Name a variable, with its units."""
    units = "" if variable.attrs["units"] == "1" else f" [{variable.attrs['units']}]"
    return f"{variable.attrs['long_name']}{units}"


def colours_of(values: Sequence[Any] | NDArray[Any]) -> dict[Any, Any]:
    """Give each value of what the curves differ in a colour, in order."""
    shades = matplotlib.colormaps["viridis"](np.linspace(0, 0.88, len(values)))
    return dict(zip(values, shades, strict=True))


def _curve(
    axes: Axes,
    shown: xr.Dataset,
    figure: Figure,
    colour: Any,
    regime: str,
    by_cell: Any,
    dataset: xr.Dataset,
) -> bool | None:
    """Draw one curve: the average over seeds with its band, and theory dashed over it.

    Returns whether the theory is exact, if there is one.
    """
    array = shown[figure.metric]
    array = array.squeeze([d for d in array.dims if d not in ("seed", figure.x)], drop=True)
    x = np.atleast_1d(shown[figure.x].values)
    values = array.transpose("seed", ...).values.reshape(len(shown["seed"]), len(x))
    centre, low, high = band(values, figure.average)
    axes.plot(x, centre, color=colour)
    axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
    if figure.reference is not None:
        axes.axhline(float(shown[figure.reference].mean()), **REFERENCE)
    expected = _expected(shown, figure, regime, by_cell, dataset)
    if expected is not None:
        theory, exact = expected
        axes.plot(x, theory, color="black", linestyle=THEORY[exact][0], linewidth=0.9)
        return exact
    return None


def _publications(
    axes: Axes,
    shown: xr.Dataset,
    figure: Figure,
    colour: Any,
    regime: str,
    by_cell: Any,
    dataset: xr.Dataset,
) -> bool:
    """Mark what was published under the conditions of a curve over iterations, if anything was."""
    spec = _spec(shown, {}, regime, by_cell, dataset) if figure.x == "iteration" else None
    if spec is None:
        return False
    places = {
        (one.iteration, one.value)
        for one in comparison.published_of(spec)
        if one.metric == figure.metric and one.iteration <= spec.iterations
    }
    for iteration, value in sorted(places):
        axes.plot(iteration, value, color=colour, zorder=3, clip_on=False, **PUBLISHED)
    return bool(places)


def band(values: Array, average: str) -> tuple[Array, Array, Array]:
    """Average over seeds (axis 0), with the ends of its band.

    A median comes with the quartiles, a mean with its 95 % confidence interval by the
    bootstrap over seeds, which stays positive on a log axis. Seeds without a value are left
    out; an infinite one makes the mean infinite and leaves no band.
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


def _expected(
    shown: xr.Dataset, figure: Figure, regime: str, by_cell: Any, dataset: xr.Dataset
) -> tuple[Array, bool] | None:
    """Theory along the horizontal axis of a curve, and whether it is exact."""
    points = np.atleast_1d(shown[figure.x].values) if figure.x == "samples" else [None]
    found = []
    for point in points:
        at: dict[str, Any] = {} if point is None else {figure.x: point}
        spec = _spec(shown, at, regime, by_cell, dataset)
        expectation = theory_check.expectations(spec).get(figure.metric) if spec else None
        if expectation is None or expectation.above_first:
            return None
        found.append(expectation)
    means = [np.atleast_1d(expectation.mean) for expectation in found]
    return np.concatenate(means), all(expectation.exact for expectation in found)


def _spec(
    shown: xr.Dataset, at: dict[str, Any], regime: str, by_cell: Any, dataset: xr.Dataset
) -> ChainSpec | None:
    """Return the chain of a curve, ``at`` its place on the axis that the curve runs along."""
    cell = {
        name: at[name] if name in at else shown[name].values.ravel()[0]
        for name in _parameters(dataset)
    }
    found: ChainSpec | None = by_cell.get(
        (regime, tuple(sorted((n, str(v)) for n, v in cell.items())))
    )
    return found


def _limit(axes: Axes) -> None:
    """Keep a log axis within the decades that can be read."""
    low, high = axes.get_ylim()
    if axes.get_yscale() == "log" and low < high * 1e-12:
        axes.set_ylim(bottom=high * 1e-12)


def _legend(
    drawing: Drawing,
    name: str,
    colours: dict[Any, Any],
    theories: set[bool],
    reference: str | None,
    published: bool,
) -> None:
    handles = [Line2D([], [], color=c, label=f"{name} = {value}") for value, c in colours.items()]
    for style, label in (THEORY[exact] for exact in sorted(theories, reverse=True)):
        handles.append(Line2D([], [], color="black", linestyle=style, linewidth=0.9, label=label))
    if published:
        handles.append(Line2D([], [], color="black", label="published", **PUBLISHED))
    if reference is not None:
        handles.append(Line2D([], [], label=textwrap.fill(reference, 24), **REFERENCE))
    drawing.legend(handles=handles, loc="outside right center")
