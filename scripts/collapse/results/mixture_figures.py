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
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray

from collapse import families
from collapse.families.declarations import Figure, Headline
from collapse.plotting import style
from collapse.results import mixture_heat_maps
from collapse.results.mixture_heat_maps import Values, logarithmic
from collapse.results.mixtures import last_values, mean
from collapse.study import mixtures
from collapse.study.mixtures import Grid
from collapse.study.names import JOINT

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.float64]
Side = Literal["real", "synthetic"]

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
    yield "heat-map", mixture_heat_maps.draw(values, figure, ranking, label, grids)
    yield "by-real", _against(values, "real", "synthetic", figure, label)
    yield "by-synthetic", _against(values, "synthetic", "real", figure, label)
    totals = _totals(values)
    if totals:
        yield "by-proportion", _against_proportion(values, totals, figure, label)


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
    return _finish(drawing, axes, logarithmic(values, figure), label, f"{colour} samples")


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
    return _finish(drawing, axes, logarithmic(values, figure), label, "samples in all")


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
