"""Pictures of samples and reconstructions, with regimes side by side (P1 Fig. 7 and 12)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.layout_engine import ConstrainedLayoutEngine

from collapse.families.vae.portrait import RECONSTRUCTED, Images, Portrait
from collapse.plotting import portraits, style
from collapse.plotting.portraits import IterationFile

#: Numbers of columns and rows of images in a panel.
COLUMNS, PANEL_ROWS = 8, 3
#: Largest number of iterations that have a panel.
ITERATIONS = 6
#: Width of an image on the page in inches, and the gap between two in widths of an image.
INCHES, GAP = 0.34, 0.08


def draw(records: Sequence[IterationFile], directory: Path) -> None:
    """Draw samples and reconstructions of every point, as PNG and SVG.

    Parameters
    ----------
    records : sequence of IterationFile
        Portraits of one seed, iteration by iteration; every regime has iteration 1.
    directory : path
        The folder that pictures are written to.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for point, regimes in portraits.by_point(records, Portrait).items():
        for name, page in (("samples", _samples), ("reconstructions", _reconstructions)):
            with plt.rc_context({**style.STYLE, "axes.grid": False}):
                style.save(page(regimes), directory / f"{name}__{point}")


def chosen(iterations: Sequence[int], most: int = ITERATIONS) -> list[int]:
    """Return at most ``most`` iterations, among them the last, more closely spaced at first."""
    if len(iterations) <= most:
        return list(iterations)
    places = np.geomspace(1, len(iterations), most).round().astype(int) - 1
    spaced = np.maximum(places, np.arange(most))
    return [iterations[place] for place in spaced]


def _samples(regimes: Mapping[str, Mapping[int, Portrait]]) -> Drawing:
    """Draw real images and the baseline on the left, then a column for every regime.

    Many regimes go on in a further band of columns.
    """
    (first, baseline), *_ = min(regimes.values(), key=min).items()
    later = chosen(sorted({t for found in regimes.values() for t in found} - {first}))
    rows = max(2, len(later))
    width, height = COLUMNS * (1 + GAP) * INCHES, PANEL_ROWS * (1 + GAP) * INCHES
    bands, across = style.places(len(regimes))
    drawing = plt.figure(
        figsize=((1 + across) * (width + 0.35), bands * rows * (height + 0.32)),
        layout=ConstrainedLayoutEngine(wspace=0.04),
    )
    # Each of the two panels on the left is half as high as a column.
    grid = drawing.add_gridspec(2 * rows * bands, 1 + across)
    most = COLUMNS * (PANEL_ROWS * rows // 2)
    _panel(drawing.add_subplot(grid[:rows, 0]), baseline.tested[:most], "real test images")
    _panel(
        drawing.add_subplot(grid[rows : 2 * rows, 0]),
        baseline.samples[:most],
        f"baseline, t = {first}: trained on real images",
    )
    for number, (regime, found) in enumerate(regimes.items()):
        colour = style.REGIME_COLOURS.get(regime, "black")
        for row, t in enumerate(later):
            top = 2 * (number // across * rows + row)
            axes = drawing.add_subplot(grid[top : top + 2, 1 + number % across])
            samples = found[t].samples[: COLUMNS * PANEL_ROWS]
            _panel(axes, samples, f"{regime}, t = {t}", colour)
    return drawing


def _reconstructions(regimes: Mapping[str, Mapping[int, Portrait]]) -> Drawing:
    """Draw a panel for every regime: test images, and below them reconstructions by iteration."""
    iterations = sorted({t for found in regimes.values() for t in found})
    shown = [iterations[0], *chosen(iterations[1:])]
    width = RECONSTRUCTED * (1 + GAP) * INCHES
    height = (len(shown) + 1) * (1 + GAP) * INCHES
    bands, across = style.places(len(regimes))
    drawing, panels = plt.subplots(
        bands,
        across,
        figsize=(0.7 + across * (width + 0.2), bands * (height + 0.4)),
        squeeze=False,
    )
    for axes in panels.ravel()[len(regimes) :]:
        axes.set_visible(False)
    for number, (regime, found) in enumerate(regimes.items()):
        axes = panels[number // across, number % across]
        originals = found[iterations[0]].tested[:RECONSTRUCTED]
        rows = [originals, *(found[t].reconstructed for t in shown)]
        _panel(
            axes,
            np.concatenate(rows),
            regime,
            style.REGIME_COLOURS.get(regime, "black"),
            columns=len(originals),
        )
        if number % across == 0:
            side = originals.shape[1]
            pitch = side + _gap(side)
            axes.set_yticks(
                [pitch * row + side / 2 for row in range(len(rows))],
                ["real test image", *(f"t = {t}" for t in shown)],
            )
            axes.tick_params(length=0)
    return drawing


def _panel(
    axes: Axes, images: Images, title: str, colour: str = "black", columns: int = COLUMNS
) -> None:
    axes.set_title(title, color=colour)
    axes.set_anchor("N")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    if len(images):
        tiled: Any = mosaic(images, columns)
        axes.imshow(tiled, interpolation="nearest", aspect="equal", cmap="gray", vmin=0, vmax=255)


def mosaic(images: Images, columns: int) -> Images:
    """Return images side by side in rows on a white page.

    Returns
    -------
    ndarray of uint8, shape (height, width) for grey images, else (height, width, 3)
    """
    count, side, width, channels = images.shape
    gap = _gap(side)
    rows = -(-count // columns)
    page = np.full(
        (rows * (side + gap) - gap, columns * (width + gap) - gap, channels), 255, np.uint8
    )
    for number, image in enumerate(images):
        top, left = number // columns * (side + gap), number % columns * (width + gap)
        page[top : top + side, left : left + width] = image
    return page[..., 0] if channels == 1 else page


def _gap(side: int) -> int:
    return max(1, round(GAP * side))
