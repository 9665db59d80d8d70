"""Generated conformations drawn over real ones of the same molecules, iteration by iteration."""

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

from collapse import figures
from collapse.learning_curves import Record

Array = NDArray[np.float64]

#: Molecules that are shown of an iteration.
SHOWN = 3
#: Iterations, at most, that have a panel.
ITERATIONS = 8
#: Width of a panel, in inches, and of a stick and an atom in it, in points.
INCHES, STICK, ATOM = 1.75, 3.6, 34.0
#: What is shown around the real conformation, in ångström.
MARGIN = 1.9
#: Colours of elements, as chemists are used to them; all others are pink.
COLOURS = {
    1: "#c9c9c9", 6: "#2f6f73", 7: "#2b50d8", 8: "#d62728", 9: "#2ca02c", 15: "#e07b00",
    16: "#d4a800", 17: "#17a34a", 35: "#8b2f1d", 53: "#6a2ca0",
}  # fmt: skip
OTHER, REAL = "#d6458f", "#9a9a9a"
#: How far the farthest atom fades into the paper.
FADING = 0.62


class Portrait(NamedTuple):
    """What is shown of an iteration: molecules end to end, as in `collapse.data.molecules`.

    Attributes
    ----------
    smiles : ndarray of str, shape (molecules,)
    atoms, bonds, atom_bounds, bond_bounds : ndarray
        Graphs.
    real, generated : ndarray, shape (atoms, 3)
        Positions in ångström; the generated ones are aligned with the real ones.
    distances : ndarray, shape (molecules,)
        Of the heavy atoms of the two, in ångström.
    """

    smiles: NDArray[np.str_]
    atoms: NDArray[np.uint8]
    bonds: NDArray[np.uint16]
    atom_bounds: NDArray[np.int64]
    bond_bounds: NDArray[np.int64]
    real: Array
    generated: Array
    distances: Array


def write(path: Path, portrait: Portrait) -> None:
    """Write a portrait as arrays."""
    with open(path, "wb") as file:
        np.savez_compressed(file, **portrait._asdict())


def read(path: str | Path) -> Portrait:
    """Read what `write` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        return Portrait(**arrays)


def draw(records: Sequence[Record], directory: Path) -> None:
    """Draw the overlays of every point and molecule, as PNG and SVG.

    Parameters
    ----------
    records : sequence of Record
        Where the portraits of one seed are, iteration by iteration; every regime has the first.
    directory : path
        Where the pictures go.
    """
    directory.mkdir(parents=True, exist_ok=True)
    points: dict[str, dict[str, dict[int, Portrait]]] = {}
    for record in records:
        regimes = points.setdefault(record.point, {})
        regimes.setdefault(record.regime, {})[record.iteration] = read(record.path)
    for point, regimes in points.items():
        first = next(portrait for found in regimes.values() for portrait in found.values())
        for number in range(len(first.smiles)):
            with plt.rc_context({**figures.STYLE, "axes.grid": False}):
                figures.save(_page(regimes, number), directory / f"overlay-{number + 1}__{point}")


def _page(regimes: Mapping[str, Mapping[int, Portrait]], number: int) -> Drawing:
    """Draw a molecule: regimes from top to bottom, iterations from left to right."""
    iterations = sorted({t for found in regimes.values() for t in found})
    places = np.unique(np.linspace(0, len(iterations) - 1, ITERATIONS).round().astype(int))
    shown = [iterations[place] for place in places]
    smiles = next(iter(next(iter(regimes.values())).values())).smiles[number]
    drawing, panels = plt.subplots(
        len(regimes),
        len(shown),
        figsize=(0.4 + INCHES * len(shown), 0.7 + INCHES * len(regimes)),
        squeeze=False,
    )
    for row, (regime, found) in zip(panels, regimes.items(), strict=True):
        row[0].set_ylabel(regime, color=figures.REGIME_COLOURS.get(regime, "black"))
        for axes, t in zip(row, shown, strict=True):
            _panel(axes, found.get(t), number)
    for axes, t in zip(panels[0], shown, strict=True):
        axes.set_title(f"t = {t}")
    drawing.suptitle(f"{smiles}\ngenerated in colour, real in grey", fontsize=8)
    return drawing


def _panel(axes: Axes, portrait: Portrait | None, number: int) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_aspect("equal")
    for spine in axes.spines.values():
        spine.set_visible(False)
    if portrait is None or number >= len(portrait.smiles):
        return
    atoms = slice(portrait.atom_bounds[number], portrait.atom_bounds[number + 1])
    bonds = slice(portrait.bond_bounds[number], portrait.bond_bounds[number + 1])
    elements, pairs = portrait.atoms[atoms], portrait.bonds[bonds]
    centre, axes_of_view = _view(portrait.real[atoms])
    real = (portrait.real[atoms] - centre) @ axes_of_view
    generated = (portrait.generated[atoms] - centre) @ axes_of_view
    low, high = real.min(axis=0) - MARGIN, real.max(axis=0) + MARGIN
    half = max(high[:2] - low[:2]) / 2
    middle = (low + high)[:2] / 2
    axes.set_xlim(middle[0] - half, middle[0] + half)
    axes.set_ylim(middle[1] - half, middle[1] + half)
    scale = 9.0 / (2 * half)  # a panel nine ångström wide has sticks of the width above
    parts = [
        *_sticks(real, pairs, np.array([to_rgb(REAL)] * len(elements)), 1.0),
        *_sticks(generated, pairs, _colours(elements), 0.8),
    ]
    depths = np.array([part.depth for part in parts])
    near = _nearness(depths)
    for place in np.argsort(depths):
        part, shade = parts[place], _faded(parts[place].colour, near[place])
        width = STICK * scale * part.width * (0.75 + 0.35 * near[place])
        ends: Any = part.ends.T
        axes.plot(*ends, color="white", linewidth=width + 1.4, solid_capstyle="butt")
        axes.plot(*ends, color=shade, linewidth=width, solid_capstyle="round")
    axes.set_xlabel(f"{portrait.distances[number]:.2f} Å", fontsize=8, labelpad=1)


class _Stick(NamedTuple):
    ends: Array
    depth: float
    colour: Array
    width: float


def _sticks(
    positions: Array, bonds: NDArray[np.uint16], colours: Array, width: float
) -> Iterator[_Stick]:
    """Yield the halves of all bonds, each in the colour of its atom."""
    for pair in bonds.astype(int):
        middle = positions[pair].mean(axis=0)
        for atom in pair:
            ends = np.stack((positions[atom], middle))
            yield _Stick(ends[:, :2], float(ends[:, 2].mean()), colours[atom], width)


def _view(positions: Array) -> tuple[Array, Array]:
    """Return the centre, and directions of view in which a molecule is widest across the page."""
    centre = positions.mean(axis=0)
    _, _, directions = np.linalg.svd(positions - centre, full_matrices=False)
    if np.linalg.det(directions) < 0:
        directions[2] *= -1  # not mirrored
    return centre, directions.T


def _colours(elements: NDArray[np.uint8]) -> Array:
    return np.array([to_rgb(COLOURS.get(int(element), OTHER)) for element in elements])


def _nearness(depths: Array) -> Array:
    """Scale depths to 0, the farthest, to 1."""
    span = np.ptp(depths)
    return np.ones(len(depths)) if span < 1.0 else (depths - depths.min()) / span


def _faded(colour: Array, near: float) -> Array:
    """Return a colour, faded into the paper with distance."""
    return colour + (1 - colour) * FADING * (1 - near)
