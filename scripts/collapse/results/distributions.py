"""Distributions of a metric over seeds at some iterations, regimes side by side."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure as Drawing

from collapse import families
from collapse.families.declarations import Distribution
from collapse.plotting import style
from collapse.results.pages import pages, parameters
from collapse.study.names import JOINT, decoded

if TYPE_CHECKING:
    import xarray as xr

#: Number of iterations whose distributions are drawn, evenly spaced by their logarithm.
ITERATIONS = 5


def draw(dataset: xr.Dataset, directory: Path) -> list[Path]:
    """Draw the distributions that an experiment's family declares, as PNG and SVG.

    There is a figure for each combination of the parameters that are neither rows nor given by
    the distribution, and none if the experiment has one seed or lacks the values that are given.
    """
    written = []
    for declared in families.load(dataset.attrs["family"]).distributions:
        lacking = any(value not in dataset[name].values for name, value in declared.at.items())
        if lacking or dataset.sizes["seed"] < 2:
            continue
        chosen = dataset.sel(dict(declared.at))
        for suffix, page in pages(chosen, [declared.rows]):
            path = directory / (declared.name + suffix)
            with plt.rc_context(style.STYLE):
                style.save(_page(page.squeeze(_single(page, declared), drop=True), declared), path)
            written.append(path)
    return written


def _single(page: xr.Dataset, declared: Distribution) -> list[str]:
    """Return the parameters of which a page has one value."""
    return [name for name in parameters(page) if name != declared.rows]


def _page(page: xr.Dataset, declared: Distribution) -> Drawing:
    regimes, rows = page["regime"].values, page[declared.rows].values
    drawing, panels = plt.subplots(
        len(rows),
        len(regimes),
        figsize=(1.2 + 2.5 * len(regimes), 0.9 + 1.9 * len(rows)),
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    evaluated = page["iteration"].values
    wanted = np.geomspace(evaluated[0], evaluated[-1], ITERATIONS)
    nearest = np.unique(np.abs(np.log(evaluated) - np.log(wanted)[:, None]).argmin(axis=1))
    colours = style.colours_of(evaluated[nearest])
    for (i, row), (j, regime) in itertools.product(enumerate(rows), enumerate(regimes)):
        axes: Any = panels[i, j]
        shown = page[declared.metric].sel({declared.rows: row, "regime": regime})
        for iteration, colour in colours.items():
            axes.ecdf(shown.sel(iteration=iteration).values, color=colour, label=f"t = {iteration}")
        axes.set_xscale("log", nonpositive="mask")
        axes.set_xlim(left=declared.lowest)  # what is below it counts at the left end
        if i == 0:
            title = decoded(str(regime)).replace(JOINT, "\n")
            axes.set_title(title, color=style.REGIME_COLOURS.get(str(regime), "black"))
        if j == 0:
            axes.set_ylabel(style.verbatim(f"{declared.rows} = {row}"))
    drawing.supylabel("share of seeds with at most this value", fontsize=9)
    drawing.supxlabel(declared.label, fontsize=9)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    drawing.legend(handles, labels, loc="outside right center")
    return drawing
