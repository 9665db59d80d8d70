"""Heat maps of grids of mixtures: a metric by its numbers of real and synthetic samples."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure as Drawing
from matplotlib.image import AxesImage
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray

from collapse.families.declarations import Figure, Headline
from collapse.plotting import style
from collapse.results.mixtures import Effect, best_of, effects, mean
from collapse.study.mixtures import Mixture

Cells = np.ma.MaskedArray[Any, Any]
Values = Mapping[Mixture, NDArray[np.float64]]


#: Values are written into the cells of a heat map with at most this many cells.
ANNOTATED = 300


def logarithmic(values: Values, figure: Figure) -> bool:
    """Tell whether to use a log axis: the family's figure does, and the means span a decade."""
    means = np.array([mean(each)[0] for each in values.values()])
    means = means[np.isfinite(means)]
    if figure.yscale != "log" or not len(means):
        return False
    return bool(means.min() > 0 and means.max() > 10 * means.min())


def draw(
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
    norm = LogNorm() if logarithmic(values, figure) else None
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
