"""Figures like those of the papers: regimes side by side, theory as dashed lines."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from collapse import families
from collapse.families import regime_metrics
from collapse.families.declarations import Expectation, Figure
from collapse.plotting import style
from collapse.plotting.portraits import IterationFile
from collapse.results import (
    distributions,
    learning_curves,
    mixture_figures,
    selection_figures,
    theory_check,
    theory_lines,
    weight_figures,
)
from collapse.results.dataset import read_dataset
from collapse.results.pages import pages, parameters
from collapse.results.published import published_of
from collapse.study import Study, mixtures
from collapse.study.chain_spec import ChainSpec
from collapse.study.names import JOINT, decoded

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.float64]


def draw(dataset: xr.Dataset, chains: Sequence[ChainSpec], directory: Path) -> list[Path]:
    """Draw every figure of an experiment's family, as PNG and SVG.

    An axis of the dataset that is neither rows, colour nor horizontal axis of a figure gives a
    figure for each of its values, which the file is named after.
    """
    directory.mkdir(parents=True, exist_ok=True)
    by_curve = _Chains(dataset, chains)
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


class _Chains:
    """The chains of a dataset, by the regime and the parameters of their curves."""

    def __init__(self, dataset: xr.Dataset, chains: Sequence[ChainSpec]) -> None:
        self._names = parameters(dataset)
        self._chains = {
            self._place(spec.regime_name, {**spec.parameters, "samples": spec.samples}): spec
            for spec in chains
        }

    def of(self, shown: xr.Dataset, **at: Any) -> ChainSpec | None:
        """Return the chain behind a curve; ``at`` gives the place on the axis it runs along."""
        cell = {name: shown[name].values.ravel()[0] for name in self._names if name not in at}
        return self._chains.get(self._place(shown["regime"].item(), {**cell, **at}))

    def _place(self, regime: str, cell: Mapping[str, Any]) -> tuple[str, ...]:
        return (regime, *(str(cell[name]) for name in self._names))


def _page(page: xr.Dataset, figure: Figure, chains: _Chains) -> Drawing:
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
            theory[regime] += _curve(axes, curve, figure, colour, chains)
            published |= _publications(axes, curve, figure, colour, chains)
            if reference is not None:
                _reference(axes, curve[reference], figure.x, colour if len(colours) > 1 else None)
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


def _curve(
    axes: Axes, shown: xr.Dataset, figure: Figure, colour: Any, chains: _Chains
) -> list[Expectation]:
    """Draw the average over seeds with its band, and theory over it, which is returned."""
    array = shown[figure.metric]
    array = array.squeeze([d for d in array.dims if d not in ("seed", figure.x)], drop=True)
    x = np.atleast_1d(shown[figure.x].values)
    values = array.transpose("seed", ...).values.reshape(len(shown["seed"]), len(x))
    centre, low, high = style.band(values, figure.average)
    axes.plot(x, centre, color=colour)
    axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
    found = _expected(shown, figure, chains)
    if found:
        theory_lines.draw(axes, x, found)
    return found


def _reference(axes: Axes, array: xr.DataArray, along: str, colour: Any) -> None:
    """Draw what a metric is compared with: a line, or a curve if it depends on the axis."""
    values = array.mean([d for d in array.dims if d != along])
    known = values.values[np.isfinite(values.values)]
    line = style.REFERENCE if colour is None else {**style.REFERENCE, "color": colour}
    if len(known) and np.ptp(known) == 0:
        axes.axhline(known[0], **line)
    elif len(known):
        axes.plot(values[along].values, values.values, **line)


def _publications(
    axes: Axes, shown: xr.Dataset, figure: Figure, colour: Any, chains: _Chains
) -> bool:
    """Mark the values published for a curve over iterations; return whether there are any."""
    spec = chains.of(shown) if figure.x == "iteration" else None
    if spec is None:
        return False
    places = {
        (one.iteration, one.value)
        for one in published_of(spec)
        if one.metric == figure.metric and one.iteration <= spec.iterations
    }
    for iteration, value in sorted(places):
        axes.plot(iteration, value, color=colour, zorder=3, clip_on=False, **style.PUBLISHED)
    return bool(places)


def _expected(shown: xr.Dataset, figure: Figure, chains: _Chains) -> list[Expectation]:
    """Return the theory of a curve: one expectation, or one for each number of samples."""
    points = np.atleast_1d(shown["samples"].values) if figure.x == "samples" else [None]
    found = []
    for point in points:
        spec = chains.of(shown) if point is None else chains.of(shown, samples=point)
        expectation = theory_check.expectations(spec).get(figure.metric) if spec else None
        if expectation is None or expectation.of_first is not None:
            return []
        found.append(expectation)
    return found


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


def write(
    metrics: str,
    *,
    records: Sequence[tuple[tuple[str, str, int], str]],
    study: Mapping[str, Any],
    directory: Path,
) -> None:
    """Draw the figures of an experiment, each as PNG and SVG.

    The mixtures of a grid share their figures; other regimes are drawn side by side. ``records``
    are the training records of one seed, each with its point, regime and iteration.
    """
    parsed = Study.model_validate(study)
    experiment = Path(metrics).parent.name
    chains = list(parsed.chains(experiment))
    grids = mixtures.grids(chains)
    unmixed = mixtures.unmixed(grids, parsed.named_regimes_of(experiment))
    found = read_dataset(metrics)
    mixture_figures.draw(found, grids, directory)
    if unmixed:
        draw(found.sel(regime=unmixed), chains, directory)
        distributions.draw(found.sel(regime=unmixed), directory)
        weight_figures.draw(found, chains, directory)
        selection_figures.draw(found, directory)
    curves = [IterationFile(*place, path) for place, path in records]
    learning_curves.draw([curve for curve in curves if curve.regime in unmixed], directory)
