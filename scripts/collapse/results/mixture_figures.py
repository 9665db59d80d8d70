"""Figures of grids of mixtures: cardinality against proportion of real data (P2).

Each metric has a heat map, and curves against the number of real samples, the number of synthetic
samples, and the share of real samples in a fixed total. Curves for zero samples are black.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure as Drawing
from matplotlib.image import AxesImage
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray

from collapse import families
from collapse.families.declarations import Figure, Headline
from collapse.plotting import style
from collapse.results.mixtures import Effect, best_of, effects, last_values, mean
from collapse.study import mixtures
from collapse.study.mixtures import Grid, Mixture
from collapse.study.names import JOINT

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.float64]
Cells = np.ma.MaskedArray[Any, Any]
Values = Mapping[Mixture, Array]
Side = Literal["real", "synthetic"]

#: Values are written into the cells of a heat map with at most this many cells.
ANNOTATED = 300
#: Least number of mixtures that share a total, for curves against the proportion of real data, and
#: largest number of totals that are drawn.
FEWEST_PROPORTIONS, MOST_TOTALS = 3, 8


def draw(dataset: xr.Dataset, grids: Sequence[Grid], directory: Path) -> list[Path]:
    """Draw the figures of every grid of mixtures of an experiment, as PNG and SVG.

    Metrics that the family has no figure of, or that were not measured at the last iteration,
    are left out. A file is named after the family's figure and, if there are several points,
    after what its point differs in.
    """
    directory.mkdir(parents=True, exist_ok=True)
    headline = families.load(dataset.attrs["family"]).headline_of_mixtures
    written = []
    for grid, distinction in zip(grids, mixtures.distinctions(grids), strict=True):
        suffix = distinction and JOINT + distinction
        for figure in _figures(dataset):
            values = last_values(dataset, grid, figure.metric)
            if not any(np.isfinite(mean(each)[0]) for each in values.values()):
                continue
            label = style.label(dataset[figure.metric])
            with plt.rc_context(style.STYLE):
                for kind, drawing in _drawings(values, figure, headline, label, len(grids)):
                    path = directory / f"{figure.name}-{kind}{suffix}"
                    style.save(drawing, path)
                    written.append(path)
    return written


def _figures(dataset: xr.Dataset) -> list[Figure]:
    """Return the family's first figure of each metric that is measured at every iteration.

    Its vertical axis is logarithmic if that of any figure of this metric is.
    """
    first: dict[str, Figure] = {}
    for figure in families.load(dataset.attrs["family"]).figures:
        if "iteration" in dataset[figure.metric].dims:
            known = first.setdefault(figure.metric, figure)
            if figure.yscale == "log":
                first[figure.metric] = known._replace(yscale="log")
    return list(first.values())


def _drawings(
    values: Values, figure: Figure, headline: Headline, label: str, grids: int = 1
) -> Iterator[tuple[str, Drawing]]:
    ranking = headline if figure.metric == headline.metric else None
    better = {"higher": " (lower is better)", "lower": " (higher is better)"}
    label += better[ranking.worse] if ranking else ""
    yield "heat-map", _heat_maps(values, figure, ranking, label, grids)
    yield "by-real", _against(values, "real", "synthetic", figure, label)
    yield "by-synthetic", _against(values, "synthetic", "real", figure, label)
    totals = _totals(values)
    if totals:
        yield "by-proportion", _against_proportion(values, totals, figure, label)


def _logarithmic(values: Values, figure: Figure) -> bool:
    """Tell whether to use a log axis: the family's figure does, and the means span a decade."""
    means = np.array([mean(each)[0] for each in values.values()])
    means = means[np.isfinite(means)]
    if figure.yscale != "log" or not len(means):
        return False
    return bool(means.min() > 0 and means.max() > 10 * means.min())


def _heat_maps(
    values: Values, figure: Figure, ranking: Headline | None, label: str, grids: int = 1
) -> Drawing:
    """Draw the metric of all mixtures and, below, differences from the same real samples alone."""
    rows = sorted({mixture.real for mixture in values})
    columns = sorted({mixture.synthetic for mixture in values})
    compared = effects(values, grids)
    panels = 2 if compared else 1
    drawing, axes = plt.subplots(
        panels,
        1,
        figsize=(3.0 + 0.5 * len(columns), panels * (0.9 + 0.3 * len(rows))),
        squeeze=False,
        sharex=True,
    )
    cells = _matrix({m: mean(each)[0] for m, each in values.items()}, rows, columns)
    norm = LogNorm() if _logarithmic(values, figure) else None
    form = ".3g" if norm else _fixed(float(np.ma.ptp(cells)))
    picture = _cells(axes[0, 0], cells, cells, rows, columns, form, cmap="viridis", norm=norm)
    bar = drawing.colorbar(picture, ax=axes[0, 0])
    bar.set_label(textwrap.fill(label, 12 + 5 * len(rows)), fontsize=8)
    if norm is not None:
        style.plain_decades(bar.ax.yaxis)
    if ranking is not None:
        _box_best(axes[0, 0], values, rows, columns, ranking)
    if compared:
        _differences(drawing, axes[1, 0], compared, rows, columns, ranking)
    axes[-1, 0].set_xlabel("synthetic samples in the training set")
    drawing.supylabel("real samples in the training set", fontsize=9)
    return drawing


def _matrix(numbers: Mapping[Mixture, float], rows: Sequence[int], columns: Sequence[int]) -> Cells:
    """Arrange numbers by real and synthetic samples; mixtures that the grid lacks are masked."""
    cells = [[numbers.get(Mixture(real, added), np.nan) for added in columns] for real in rows]
    found: Cells = np.ma.array(cells, mask=~np.isfinite(cells))  # type: ignore[no-untyped-call]
    return found


def _fixed(extent: float) -> str:
    """Return a format with the decimals that show three digits of a range of this extent."""
    return f".{max(0, 2 - int(np.floor(np.log10(extent)))) if extent > 0 else 2}f"


def _cells(
    axes: Axes,
    coloured: Cells,
    written: Cells,
    rows: Sequence[int],
    columns: Sequence[int],
    form: str,
    **colours: Any,
) -> AxesImage:
    """Colour the cells of a matrix and, if they are few enough, write numbers into them."""
    picture = axes.imshow(coloured, origin="lower", aspect="auto", **colours)
    axes.set_facecolor("#dddddd")
    axes.grid(visible=False)
    axes.set_xticks(range(len(columns)), [str(value) for value in columns], rotation=45)
    axes.set_yticks(range(len(rows)), [str(value) for value in rows])
    if written.size <= ANNOTATED:
        for row, column in zip(*np.nonzero(~written.mask), strict=True):
            red, green, blue, _ = picture.to_rgba(coloured[row, column])
            dark = 0.3 * red + 0.6 * green + 0.1 * blue < 0.5
            axes.text(
                column,
                row,
                format(written[row, column], form),
                ha="center",
                va="center",
                fontsize=7,
                color="white" if dark else "black",
            )
    return picture


def _box_best(
    axes: Axes, values: Values, rows: Sequence[int], columns: Sequence[int], ranking: Headline
) -> None:
    for row, real in enumerate(rows):
        beside = {mixture: each for mixture, each in values.items() if mixture.real == real}
        column = columns.index(best_of(beside, ranking).synthetic)
        box = Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, linewidth=1.8, zorder=3)
        box.set_edgecolor("#e6550d")
        axes.add_patch(box)
    axes.set_title("boxed: the best for each number of real samples", loc="left")


def _differences(
    drawing: Drawing,
    axes: Axes,
    compared: Mapping[Mixture, Effect],
    rows: Sequence[int],
    columns: Sequence[int],
    ranking: Headline | None,
) -> None:
    """Colour the mixtures whose interval tells the metric from that without synthetic data."""
    signs = {m: float(effect.low > 0) - float(effect.high < 0) for m, effect in compared.items()}
    written = _matrix({m: effect.difference for m, effect in compared.items()}, rows, columns)
    names, colours = ["lower", "undecided", "higher"], ["#b2abd2", "#f7f7f7", "#fdb863"]
    if ranking is not None:
        names, colours = ["better", "undecided", "worse"], ["#92c5de", "#f7f7f7", "#f4a582"]
        if ranking.worse == "lower":
            signs = {mixture: -sign for mixture, sign in signs.items()}
    sizes = [abs(effect.difference) for effect in compared.values()]
    form = "+" + _fixed(max((size for size in sizes if np.isfinite(size)), default=0.0))
    coloured = _matrix(signs, rows, columns)
    scale = {"cmap": ListedColormap(colours), "norm": Normalize(-1, 1)}
    _cells(axes, coloured, written, rows, columns, form, **scale)
    axes.set_title("difference from the same real samples alone", loc="left")
    _write_detectable(axes, compared, rows)
    patches = [Patch(facecolor=c, edgecolor="grey") for c in colours]
    drawing.legend(patches, names, loc="outside lower center", ncols=3)


def _write_detectable(axes: Axes, compared: Mapping[Mixture, Effect], rows: Sequence[int]) -> None:
    """Write beside each row the size of an effect that would not be undecided."""
    sizes = {
        row: [each.detectable for m, each in compared.items() if m.real == row] for row in rows
    }
    known = {row: max(found) for row, found in sizes.items() if np.isfinite(found).any()}
    right = axes.secondary_yaxis("right")
    right.set_yticks(range(len(rows)), [f"{known[r]:.2g}" if r in known else "" for r in rows])
    right.tick_params(length=0)
    right.set_ylabel("effect that\nwould show", fontsize=8)


def _against(values: Values, x: Side, colour: Side, figure: Figure, label: str) -> Drawing:
    """Draw the metric against the number of one kind of samples, a curve for each of the other."""
    amounts = sorted({getattr(mixture, colour) for mixture in values})
    colours = {0: "black"} | style.colours_of([amount for amount in amounts if amount])
    drawing, axes = plt.subplots(figsize=(6.2, max(3.6, 1 + 0.19 * len(amounts))))
    for amount in amounts:
        curve = {getattr(m, x): each for m, each in values.items() if getattr(m, colour) == amount}
        name = f"{amount} (none)" if amount == 0 else str(amount)
        _curve(axes, curve, figure, colours[amount], name)
    _count_axis(axes, sorted({getattr(mixture, x) for mixture in values}))
    axes.set_xlabel(f"{x} samples in the training set")
    return _finish(drawing, axes, _logarithmic(values, figure), label, f"{colour} samples")


def _totals(values: Values) -> list[int]:
    """Return the totals to draw against the proportion: those that the most mixtures share."""
    totals = [mixture.total for mixture in values if mixture.total]
    shared = {total for total in totals if totals.count(total) >= FEWEST_PROPORTIONS}
    return sorted(sorted(shared, key=lambda total: (-totals.count(total), total))[:MOST_TOTALS])


def _against_proportion(
    values: Values, totals: Sequence[int], figure: Figure, label: str
) -> Drawing:
    """Draw the metric against the share of real samples, a curve for each total."""
    drawing, axes = plt.subplots(figsize=(6.2, 3.6))
    values = {mixture: each for mixture, each in values.items() if mixture.total in totals}
    for total, colour in style.colours_of(totals).items():
        curve = {m.real / total: each for m, each in values.items() if m.total == total}
        _curve(axes, curve, figure, colour, str(total))
    axes.set_xlabel("share of real samples in the training set")
    return _finish(drawing, axes, _logarithmic(values, figure), label, "samples in all")


def _curve(axes: Axes, curve: Mapping[Any, Array], figure: Figure, colour: Any, name: str) -> None:
    x = sorted(curve)
    centre, low, high = style.band(np.stack([curve[at] for at in x], axis=1), figure.average)
    axes.plot(x, centre, color=colour, marker="o", markersize=3, label=name)
    axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)


def _count_axis(axes: Axes, counts: Sequence[int]) -> None:
    """Make the horizontal axis logarithmic, with room for zero and ticks at counts that fit."""
    positive = [count for count in counts if count]
    if counts[0] == 0:
        axes.set_xscale("symlog", linthresh=positive[0], linscale=0.5)
    else:
        axes.set_xscale("log")
    places = axes.transScale.transform([(count, 1) for count in counts])[:, 0]
    gap = 0.02 * len(str(counts[-1])) * (places[-1] - places[0])
    shown = [0]
    for index, place in enumerate(places):
        if place - places[shown[-1]] >= gap:
            shown.append(index)
    axes.set_xticks([counts[index] for index in shown], [str(counts[index]) for index in shown])
    axes.xaxis.set_minor_locator(NullLocator())


def _finish(drawing: Drawing, axes: Axes, log: bool, label: str, colours: str) -> Drawing:
    if log:
        axes.set_yscale("log", nonpositive="mask")
        style.plain_decades(axes.yaxis)
    axes.set_ylabel(textwrap.fill(label, 44))
    drawing.legend(title=textwrap.fill(colours, 16), loc="outside right center")
    return drawing
