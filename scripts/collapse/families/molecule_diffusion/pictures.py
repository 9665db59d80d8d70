"""Pictures of generated conformations over real ones of the same molecules, by iteration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure as Drawing
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from collapse.families.molecule_diffusion.portrait import Array, Portrait
from collapse.plotting import portraits, style
from collapse.plotting.portraits import IterationFile

#: Largest number of iterations that have a panel.
ITERATIONS = 8
#: Width of a panel in inches, and its least height in widths.
INCHES, FLATTEST = 2.1, 0.5
#: Thickness of a stick, and margin around the molecules, in ångström.
STICK, MARGIN = 0.34, 0.5
#: A picture is at most this many times as wide and high as the real conformation: what a bad
#: sample has beyond that is cut off, so that the others can be seen.
WIDEST = 2.0
#: Points in an inch.
POINTS = 72
#: Colours of elements, as chemists are used to them; all others are pink.
COLOURS = {
    1: "#c9c9c9", 6: "#2f6f73", 7: "#2b50d8", 8: "#d62728", 9: "#2ca02c", 15: "#e07b00",
    16: "#d4a800", 17: "#17a34a", 35: "#8b2f1d", 53: "#6a2ca0",
}  # fmt: skip
OTHER, REAL = "#d6458f", "#b4b4b4"
#: Rotation out of the plane in which a molecule is widest, where rings are often seen edge on.
TILT = Rotation.from_euler("xy", [35, 10], degrees=True).as_matrix()
#: Share by which the farthest atom fades into the white of the page.
FADING = 0.55


def draw(records: Sequence[IterationFile], directory: Path) -> None:
    """Draw the overlays of every point and molecule, as PNG and SVG.

    Parameters
    ----------
    records : sequence of IterationFile
        Portraits of one seed, iteration by iteration; every regime has iteration 1.
    directory : path
        The folder that pictures are written to.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for point, regimes in portraits.by_point(records, Portrait).items():
        first = next(portrait for found in regimes.values() for portrait in found.values())
        for number in range(len(first.smiles)):
            with plt.rc_context({**style.STYLE, "axes.grid": False}):
                style.save(_page(regimes, number), directory / f"overlay-{number + 1}__{point}")


def _page(regimes: Mapping[str, Mapping[int, Portrait]], number: int) -> Drawing:
    """Draw a molecule, with regimes from top to bottom and iterations from left to right."""
    iterations = sorted({t for found in regimes.values() for t in found})
    places = np.unique(np.linspace(0, len(iterations) - 1, ITERATIONS).round().astype(int))
    shown = [iterations[place] for place in places]
    first = next(iter(next(iter(regimes.values())).values()))
    view = _view(
        _positions(first, first.real, number),
        [
            _positions(portrait, positions, number)
            for portraits in regimes.values()
            for portrait in portraits.values()
            for positions in (portrait.real, portrait.generated)
        ],
    )
    drawing, panels = plt.subplots(
        len(regimes),
        len(shown),
        figsize=(0.4 + INCHES * len(shown), 0.7 + (0.25 + INCHES * view.flatness) * len(regimes)),
        squeeze=False,
    )
    for row, (regime, found) in zip(panels, regimes.items(), strict=True):
        row[0].set_ylabel(regime, color=style.REGIME_COLOURS.get(regime, "black"))
        for axes, t in zip(row, shown, strict=True):
            _panel(axes, found.get(t), number, view)
    for axes, t in zip(panels[0], shown, strict=True):
        axes.set_title(f"t = {t}")
    smiles = style.verbatim(first.smiles[number])
    drawing.suptitle(f"{smiles}\ngenerated in colour, real in grey", fontsize=8)
    return drawing


class _View(NamedTuple):
    """The view of a molecule: its middle, axes (across, up, towards us), width and flatness."""

    middle: Array
    directions: Array
    width: float
    flatness: float

    def of(self, positions: Array) -> Array:
        """Return positions along the axes of the view."""
        return (positions - self.middle) @ self.directions


def _view(positions: Array, shown: Sequence[Array]) -> _View:
    """Return the view in which a molecule is widest across the page, with room for all shown."""
    _, _, directions = np.linalg.svd(positions - positions.mean(axis=0), full_matrices=False)
    if np.linalg.det(directions) < 0:
        directions[2] *= -1  # not mirrored
    directions = TILT @ directions
    own, turned = positions @ directions.T, np.concatenate(shown) @ directions.T
    beyond = (WIDEST - 1) / 2 * np.ptp(own, axis=0)
    low = np.maximum(turned.min(axis=0), own.min(axis=0) - beyond) - MARGIN
    high = np.minimum(turned.max(axis=0), own.max(axis=0) + beyond) + MARGIN
    width, height, _ = high - low
    middle = directions.T @ ((low + high) / 2)
    return _View(middle, directions.T, float(width), max(FLATTEST, min(1.0, float(height / width))))


def _positions(portrait: Portrait, of_all: NDArray[Any], number: int) -> NDArray[Any]:
    return of_all[portrait.atom_bounds[number] : portrait.atom_bounds[number + 1]]


def _panel(axes: Axes, portrait: Portrait | None, number: int, view: _View) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_aspect("equal")
    axes.set_xlim(-view.width / 2, view.width / 2)
    axes.set_ylim(-view.width * view.flatness / 2, view.width * view.flatness / 2)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if portrait is None or number >= len(portrait.smiles):
        return
    elements = _positions(portrait, portrait.atoms, number)
    bonds = portrait.bonds[portrait.bond_bounds[number] : portrait.bond_bounds[number + 1]]
    real, generated = (
        view.of(_positions(portrait, each, number)) for each in (portrait.real, portrait.generated)
    )
    sticks = [
        *_sticks(real, bonds, np.array([to_rgb(REAL)] * len(elements))),
        *_sticks(generated, bonds, _colours(elements)),
    ]
    depths = np.array([stick.depth for stick in sticks])
    # Depth is scaled to the real molecule, because a generated one may reach far beyond it.
    low, high = real[:, 2].min() - 0.5, real[:, 2].max() + 0.5
    near = np.clip((depths - low) / (high - low), 0, 1)
    for place in np.argsort(depths, kind="stable"):
        width = STICK * POINTS * INCHES / view.width * (0.8 + 0.4 * near[place])
        colour = _faded(sticks[place].colour, near[place])
        ends: Any = sticks[place].ends.T
        axes.plot(*ends, color="white", linewidth=width + 1.6, solid_capstyle="butt")
        axes.plot(*ends, color=colour, linewidth=width, solid_capstyle="round")
    axes.set_xlabel(f"RMSD {portrait.distances[number]:.2f} Å", fontsize=8, labelpad=1)


class _Stick(NamedTuple):
    ends: Array
    depth: float
    colour: Array


def _sticks(positions: Array, bonds: NDArray[np.uint16], colours: Array) -> Iterator[_Stick]:
    """Yield the halves of all bonds, each in the colour of its atom."""
    for pair in bonds.astype(int):
        middle = positions[pair].mean(axis=0)
        for atom in pair:
            ends = np.stack((positions[atom], middle))
            yield _Stick(ends[:, :2], float(ends[:, 2].mean()), colours[atom])


def _colours(elements: NDArray[np.uint8]) -> Array:
    return np.array([to_rgb(COLOURS.get(int(element), OTHER)) for element in elements])


def _faded(colour: Array, near: float) -> Array:
    """Return a colour, faded into the white of the page with distance."""
    return colour + (1 - colour) * FADING * (1 - near)
