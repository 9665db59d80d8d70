"""Figures of selection: the reward of what is kept, above the metric of what becomes of it."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D

from collapse import families
from collapse.families.declarations import Headline
from collapse.plotting import style
from collapse.results.pages import pages
from collapse.study.names import JOINT, decoded

if TYPE_CHECKING:
    import xarray as xr

KEPT, LOOKED_AT = "score_of_kept", "score_of_candidates"


def draw(dataset: xr.Dataset, directory: Path) -> list[Path]:
    """Draw reward and diversity against the iteration, of the regimes that select.

    There is a column for each of them, and a page for each combination of parameters but samples.
    """
    if KEPT not in dataset:
        return []
    selecting = [
        str(regime)
        for regime in dataset["regime"].values
        if bool(dataset[KEPT].sel(regime=regime).notnull().any())
    ]
    headline = families.load(dataset.attrs["family"]).headline
    written = []
    for suffix, page in pages(dataset.sel(regime=selecting), ["samples"]):
        path = directory / f"reward-and-{headline.metric.replace('_', '-')}{suffix}"
        with plt.rc_context(style.STYLE):
            style.save(_page(page, headline), path)
        written.append(path)
    return written


def _page(page: xr.Dataset, headline: Headline) -> Drawing:
    regimes = page["regime"].values
    drawing, panels = plt.subplots(
        2,
        len(regimes),
        figsize=(1.6 + 2.5 * len(regimes), 4.4),
        sharex=True,
        sharey="row",
        squeeze=False,
    )
    colours = style.colours_of(page["samples"].values)
    for column, regime in zip(panels.T, regimes, strict=True):
        for samples, colour in colours.items():
            shown = page.sel(regime=regime, samples=samples).squeeze(drop=True)
            _curve(column[0], shown, KEPT, colour, "-")
            _curve(column[0], shown, LOOKED_AT, colour, ":")
            _curve(column[1], shown, headline.metric, colour, "-")
        column[0].set_title(decoded(str(regime)).replace(JOINT, "\n"))
        column[1].xaxis.get_major_locator().set_params(integer=True)
        if headline.scale == "log":
            column[1].set_yscale("log", nonpositive="mask")
    panels[0, 0].set_ylabel("mean score")
    panels[1, 0].set_ylabel(textwrap.fill(style.label(page[headline.metric]), 30))
    drawing.supxlabel(page["iteration"].attrs["long_name"], fontsize=9)
    handles = [
        Line2D([], [], color=colour, label=f"samples = {samples}")
        for samples, colour in colours.items()
    ]
    handles.append(Line2D([], [], color="black", linestyle="-", label="kept samples"))
    handles.append(Line2D([], [], color="black", linestyle=":", label="candidates"))
    drawing.legend(handles=handles, loc="outside right center")
    return drawing


def _curve(axes: Any, shown: xr.Dataset, metric: str, colour: Any, line: str) -> None:
    array = shown[metric]
    values = array.values.reshape(shown.sizes.get("seed", 1), -1)
    measured = np.isfinite(values).any(axis=0)
    centre, low, high = style.band(values[:, measured], "mean")
    x = np.atleast_1d(shown["iteration"].values)[measured]
    axes.plot(x, centre, color=colour, linestyle=line)
    axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
