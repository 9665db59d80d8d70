"""Figures of a metric against the weight of real data, of regimes that differ in it alone."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from collapse import families
from collapse.families.declarations import Headline
from collapse.plotting import style
from collapse.regimes import Regime, Weigh
from collapse.results import comparisons
from collapse.results.dataset import values_of
from collapse.results.published import marks_of
from collapse.study.chain_spec import ChainSpec
from collapse.study.names import JOINT
from collapse.study.published_values import PublishedValue

if TYPE_CHECKING:
    import xarray as xr

#: Least number of weights that make a figure.
FEWEST = 3


class Sweep(NamedTuple):
    """The chains of one point whose regimes differ in the weight of real data alone.

    ``name`` is what their regimes' names have in common, and chains are in the order of weights.
    """

    point: str
    name: str
    weights: NDArray[np.float64]
    chains: list[ChainSpec]


def sweeps(chains: Sequence[ChainSpec]) -> list[Sweep]:
    """Return the sweeps of weights that do not depend on the iteration, of each point."""
    found: dict[tuple[str, Regime], dict[float, ChainSpec]] = {}
    for spec in chains:
        weigh = spec.regime.weigh
        if weigh is None or not isinstance(weigh.real, float | int):
            continue
        rest = spec.regime.model_copy(update={"weigh": Weigh(score=weigh.score, power=weigh.power)})
        found.setdefault((spec.point, rest), {})[float(weigh.real)] = spec
    return [
        Sweep(
            point,
            _common(by_weight),
            np.array(sorted(by_weight)),
            [by_weight[w] for w in sorted(by_weight)],
        )
        for (point, _), by_weight in found.items()
        if len(by_weight) >= FEWEST
    ]


def _common(chains: dict[float, ChainSpec]) -> str:
    """Return the names of several regimes without the part that says their weight."""
    first = next(iter(chains.values())).regime_name
    parts = [part for part in first.split(JOINT) if not part.startswith("weigh.real=")]
    return JOINT.join(parts)


def draw(
    dataset: xr.Dataset,
    chains: Sequence[ChainSpec],
    directory: Path,
    published: Sequence[PublishedValue] = (),
) -> list[Path]:
    """Draw the metric of mixtures at the last iteration against the weight, as PNG and SVG.

    The weight at which theory expects the best value is marked, and so are published values.
    """
    headline = families.load(dataset.attrs["family"]).headline_of_mixtures
    groups: dict[str, list[Sweep]] = {}
    for sweep in sweeps(chains):
        groups.setdefault(sweep.name, []).append(sweep)
    written = []
    for name, mine in groups.items():
        path = directory / f"{headline.metric.replace('_', '-')}-against-weight{JOINT}{name}"
        with plt.rc_context(style.STYLE):
            style.save(_page(dataset, mine, headline, published), path)
        written.append(path)
    return written


def _page(
    dataset: xr.Dataset,
    found: Sequence[Sweep],
    headline: Headline,
    published: Sequence[PublishedValue],
) -> Drawing:
    metric, marked = headline.metric, False
    drawing, axes = plt.subplots(figsize=(7.0, 3.4))
    colours = style.colours_of([sweep.point for sweep in found])
    sources: dict[str, None] = {}
    for sweep in found:
        values = np.stack([values_of(dataset, spec, metric) for spec in sweep.chains], axis=-1)
        last = values[:, -1] if values.ndim == 3 else values
        centre, low, high = style.band(last, "mean")
        colour = colours[sweep.point]
        axes.plot(sweep.weights, centre, "o", color=colour, markersize=4)
        axes.vlines(sweep.weights, low, high, color=colour)
        for weight, spec in zip(sweep.weights, sweep.chains, strict=True):
            for iteration, value in marks_of(spec, published, metric, "mean"):
                if iteration == spec.iterations:
                    axes.plot(weight, value, color=colour, zorder=3, **style.PUBLISHED)
                    marked = True
        sources |= dict.fromkeys(_theory(axes, sweep, metric, colour, headline.worse))
    axes.set_yscale("log" if metric != "entropy" else "linear")
    axes.set_ylabel(textwrap.fill(style.label(dataset[metric]), 34))
    iterations = found[0].chains[0].iterations
    below = [f"weight of real data, at iteration {iterations}", *sources]
    axes.set_xlabel("\n".join(textwrap.fill(note, 70) for note in below))
    handles = [
        Line2D(
            [],
            [],
            color=colours[sweep.point],
            marker="o",
            linestyle="",
            label=style.verbatim(sweep.point).replace(JOINT, "\n"),
        )
        for sweep in found
    ]
    if marked:
        handles.append(Line2D([], [], color="black", label="published", **style.PUBLISHED))
    if sources:
        line = {"color": "black", "linestyle": style.THEORY["theory"], "linewidth": 0.9}
        handles.append(Line2D([], [], label="theory", **line))
        handles.append(Line2D([], [], color="black", linewidth=0.7, label="best weight in theory"))
    drawing.legend(handles=handles, loc="outside right center")
    return drawing


def _theory(axes: Axes, sweep: Sweep, metric: str, colour: object, worse: str) -> list[str]:
    """Draw what theory expects at each weight, mark the best one, and return the sources."""
    first = sweep.chains[0]
    weigh = first.regime.weigh
    lowest, highest = sweep.weights[0], sweep.weights[-1]
    if weigh is None:
        return []
    dense = np.union1d(np.linspace(lowest, highest, 41), sweep.weights)
    expected, sources = [], []
    for weight in dense:
        regime = first.regime.model_copy(
            update={"weigh": weigh.model_copy(update={"real": weight})}
        )
        found = comparisons.expectations(_with(first, regime)).get(metric)
        if found is None or found.mean is None:
            return []
        expected.append(float(np.atleast_1d(found.mean)[-1]))
        sources.append(found.source)
    axes.plot(dense, expected, color=colour, linestyle=style.THEORY["theory"], linewidth=0.9)
    best = dense[np.argmin(expected) if worse == "higher" else np.argmax(expected)]
    axes.axvline(best, color=colour, linewidth=0.7)
    axes.annotate(
        f"{best:.3g}",
        (best, 0.97),
        xycoords=("data", "axes fraction"),
        fontsize=8,
        xytext=(3, 0),
        textcoords="offset points",
        va="top",
    )
    return [f"theory: {source}" for source in dict.fromkeys(sources)]


def _with(spec: ChainSpec, regime: Regime) -> ChainSpec:
    last = (spec.iterations,)
    return ChainSpec(**{**spec.__dict__, "regime": regime, "evaluated": last})
