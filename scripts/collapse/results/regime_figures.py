"""Figures like those of the papers: regimes side by side, theory as dashed lines."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from collapse import families
from collapse.families import regime_metrics
from collapse.families.declarations import Expectation, Figure
from collapse.plotting import style
from collapse.results import (
    curves,
    theory_lines,
)
from collapse.results.curves import Chains
from collapse.results.pages import pages
from collapse.study.chain_spec import ChainSpec
from collapse.study.names import JOINT, decoded
from collapse.study.published_values import PublishedValue

if TYPE_CHECKING:
    import xarray as xr


def draw(
    dataset: xr.Dataset,
    chains: Sequence[ChainSpec],
    directory: Path,
    published: Sequence[PublishedValue] = (),
) -> list[Path]:
    """Draw every figure of an experiment's family, as PNG and SVG.

    Values that are published for a curve, those of the study among them, are marked on it.

    An axis of the dataset that is neither rows, colour nor horizontal axis of a figure gives a
    figure for each of its values, which the file is named after.
    """
    directory.mkdir(parents=True, exist_ok=True)
    by_curve = Chains(dataset, chains, published)
    written = []
    declared = families.load(dataset.attrs["family"]).figures
    for figure in (*declared, *regime_metrics.FIGURES):
        shown = _measured(dataset, figure)
        if shown is None:
            continue
        along = "samples" if figure.x == "samples" else None
        for suffix, page in pages(shown, (figure.rows, figure.colour, along)):
            path = directory / (figure.name + suffix)
            with plt.rc_context(style.STYLE):
                style.save(_page(page, figure, by_curve), path)
            written.append(path)
    return written


def _measured(dataset: xr.Dataset, figure: Figure) -> xr.Dataset | None:
    """Return what a figure shows; None if it is nothing, or of one colour though it compares.

    A metric that some regimes alone have is shown of these.
    """
    if figure.metric not in dataset or (
        figure.compares and dataset.sizes.get(figure.colour, 1) < 2
    ):
        return None
    array = dataset[figure.metric]
    if bool(array.isnull().all()):
        return None
    if figure not in regime_metrics.FIGURES:
        return dataset
    having = array.notnull().any([d for d in array.dims if d != "regime"])
    return dataset.sel(regime=having.values)


def _page(page: xr.Dataset, figure: Figure, chains: Chains) -> Drawing:
    regimes = [str(regime) for regime in page["regime"].values]
    rows = list(page[figure.rows].values) if figure.rows else [None]
    drawing, panels = _panels(len(rows), len(regimes))
    across = panels.shape[2]
    colours = style.colours_of(page[figure.colour].values)
    reference = figure.reference
    if reference is not None and bool(page[reference].isnull().all()):
        reference = None
    theory: dict[str, list[Expectation]] = {regime: [] for regime in regimes}
    published = False
    for (i, row), (j, regime) in itertools.product(enumerate(rows), enumerate(regimes)):
        axes = panels[j // across, i, j % across]
        shown = page.sel(regime=regime)
        if row is not None:
            shown = shown.sel({figure.rows: row})
        for value, colour in colours.items():
            curve = shown.sel({figure.colour: value})
            theory[regime] += curves.draw(axes, curve, figure, colour, chains)
            published |= curves.publications(axes, curve, figure, colour, chains)
            if reference is not None:
                curves.reference(
                    axes, curve[reference], figure.x, colour if len(colours) > 1 else None
                )
        axes.set_xscale(figure.xscale)
        if figure.xscale == "linear":
            axes.xaxis.get_major_locator().set_params(integer=True)
        if figure.yscale == "log":
            axes.set_yscale("log", nonpositive="mask")
        if i == 0:
            title = decoded(regime).replace(JOINT, "\n")
            axes.set_title(title, color=style.REGIME_COLOURS.get(regime, "black"))
        if j % across == 0 and row is not None:
            axes.set_ylabel(style.verbatim(f"{figure.rows} = {row}"))
        _limit(axes)
    wrapped = textwrap.fill(style.label(page[figure.metric]), 22 * len(rows) * len(panels) + 8)
    drawing.supylabel(wrapped, fontsize=9)
    notes = [*_sources(theory), *filter(None, [page[figure.metric].attrs.get("comment")])]
    below = [textwrap.fill(note, 36 * across + 12) for note in notes]
    drawing.supxlabel("\n".join([page[figure.x].attrs["long_name"], *below]), fontsize=9)
    named = None if reference is None else page[reference].attrs["long_name"]
    kinds = {str(one.kind) for found in theory.values() for one in found}
    _legend(drawing, figure.colour, colours, kinds, named, published)
    return drawing


def _panels(rows: int, regimes: int) -> tuple[Drawing, NDArray[Any]]:
    """Return panels of shape (bands, rows, columns): many regimes go on in a further band."""
    bands, columns = style.places(regimes)
    drawing, flat = plt.subplots(
        bands * rows,
        columns,
        figsize=(1.2 + 2.5 * columns, 0.9 + 1.9 * bands * rows),
        sharex=True,
        squeeze=False,
    )
    panels: NDArray[Any] = flat.reshape(bands, rows, columns)
    for row in range(rows):
        first, *others = panels[:, row].ravel()
        for axes in others:
            axes.sharey(first)
    for column in range(columns):
        empty = (bands - 1) * columns + column >= regimes
        for axes in panels[-1, :, column]:
            axes.set_visible(not empty)
        if empty:
            panels[-2, -1, column].tick_params(labelbottom=True)
    for axes in panels[:, :, 1:].ravel():
        axes.tick_params(labelleft=False, which="both")
    return drawing, panels


def _sources(theory: Mapping[str, Sequence[Expectation]]) -> list[str]:
    """Say where the theory of the regimes is derived, one line for each place."""
    regimes: dict[str, list[str]] = {}
    for regime, found in theory.items():
        for source in dict.fromkeys(one.source for one in found):
            regimes.setdefault(source, []).append(regime)
    return [
        f"theory of {', '.join(map(decoded, of))}: {source}".replace(
            "eq. (", "eq.\N{NO-BREAK SPACE}("
        )
        for source, of in regimes.items()
    ]


def _limit(axes: Axes) -> None:
    """Limit a log axis to twelve decades, so that it stays legible."""
    low, high = axes.get_ylim()
    if axes.get_yscale() == "log" and low < high * 1e-12:
        axes.set_ylim(bottom=high * 1e-12)


def _legend(
    drawing: Drawing,
    name: str,
    colours: dict[Any, Any],
    kinds: set[str],
    reference: str | None,
    published: bool,
) -> None:
    handles = [
        Line2D([], [], color=colour, label=style.verbatim(f"{name} = {value}"))
        for value, colour in colours.items()
    ]
    for kind in (kind for kind in style.THEORY if kind in kinds):
        handles.append(Line2D([], [], label=kind, **theory_lines.line_of(kind)))
    if published:
        handles.append(Line2D([], [], color="black", label="published", **style.PUBLISHED))
    if reference is not None:
        handles.append(Line2D([], [], label=textwrap.fill(reference, 24), **style.REFERENCE))
    drawing.legend(handles=handles, loc="outside right center")
