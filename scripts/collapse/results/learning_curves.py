"""Learning curves: loss against training step, a curve for each iteration (P1 Fig. 4)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure as Drawing

from collapse.artifacts import remedies
from collapse.plotting import style
from collapse.plotting.portraits import IterationFile
from collapse.study.names import decoded


def draw(records: Sequence[IterationFile], directory: Path) -> list[Path]:
    """Draw a figure for each point, with a column for each regime, a colour for each iteration.

    Parameters
    ----------
    records : sequence of IterationFile
        Training records of one seed; those without a curve are left out.
    directory : path
        Where the figures go, as PNG and SVG.
    """
    curves: dict[str, dict[str, dict[int, Any]]] = {}
    for record in records:
        with remedies.reading(record.path):
            curve = json.loads(Path(record.path).read_text(encoding="utf-8")).get("curve")
        if curve:
            curves.setdefault(record.point, {}).setdefault(record.regime, {})[record.iteration] = (
                curve
            )
    written = []
    for point, regimes in curves.items():
        path = directory / f"learning-curves__{point}"
        with plt.rc_context(style.STYLE):
            style.save(_page(regimes), path)
        written.append(path)
    return written


def _page(regimes: dict[str, dict[int, Any]]) -> Drawing:
    bands, across = style.places(len(regimes))
    drawing, flat = plt.subplots(
        2 * bands,
        across,
        figsize=(1.4 + 2.5 * across, 0.4 + 2.1 * 2 * bands),
        sharey="row",
        squeeze=False,
    )
    panels = flat.reshape(bands, 2, across)
    iterations = sorted({iteration for curves in regimes.values() for iteration in curves})
    shades = plt.get_cmap("viridis")(np.linspace(0, 0.88, len(iterations)))
    colours = dict(zip(iterations, shades, strict=True))
    columns = panels.transpose(0, 2, 1).reshape(-1, 2)
    for column in columns[len(regimes) :]:
        for axes in column:
            axes.set_visible(False)
    for column, (regime, curves) in zip(columns, regimes.items(), strict=False):
        column[0].set_title(decoded(regime), color=style.REGIME_COLOURS.get(regime, "black"))
        for iteration, curve in sorted(curves.items()):
            steps = [point["step"] for point in curve]
            for axes, loss in zip(column, ("train_loss", "test_loss"), strict=True):
                values = [np.nan if point[loss] is None else point[loss] for point in curve]
                axes.plot(steps, values, color=colours[iteration], label=f"t = {iteration}")
                axes.set_yscale("log")
    for above, below in panels[:, :, 0]:
        above.set_ylabel("training loss")
        below.set_ylabel("loss on real test data")
    drawing.supxlabel("training step of the iteration", fontsize=9)
    longest = max(columns[: len(regimes), 0], key=lambda axes: len(axes.lines))
    handles, labels = longest.get_legend_handles_labels()
    drawing.legend(handles, labels, loc="outside right center")
    return drawing
