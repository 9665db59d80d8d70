"""Curves of a metric over seeds, with theory, references and published values beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

from collapse.families.declarations import Expectation, Figure
from collapse.plotting import style
from collapse.results import comparisons, theory_lines
from collapse.results.pages import parameters
from collapse.results.published import marks_of
from collapse.study.chain_spec import ChainSpec
from collapse.study.published_values import PublishedValue

if TYPE_CHECKING:
    import xarray as xr


class Chains:
    """The chains of a dataset, by the regime and the parameters of their curves.

    ``published`` are the values that the study has to put beside them.
    """

    def __init__(
        self,
        dataset: xr.Dataset,
        chains: Sequence[ChainSpec],
        published: Sequence[PublishedValue] = (),
    ) -> None:
        self.published = published
        self._names = parameters(dataset)
        self._chains = {
            self._place(spec.regime_name, {**spec.parameters, "samples": spec.samples}): spec
            for spec in chains
        }

    def of(self, shown: xr.Dataset, **at: Any) -> ChainSpec | None:
        """Return the chain behind a curve; ``at`` gives the place on the axis it runs along."""
        cell = {name: shown[name].values.ravel()[0] for name in self._names if name not in at}
        return self._chains.get(self._place(shown["regime"].item(), {**cell, **at}))

    def _place(self, regime: str, cell: Mapping[str, Any]) -> tuple[str, ...]:
        return (regime, *(str(cell[name]) for name in self._names))


def draw(
    axes: Axes, shown: xr.Dataset, figure: Figure, colour: Any, chains: Chains
) -> list[Expectation]:
    """Draw the average over seeds with its band, and theory over it, which is returned."""
    array = shown[figure.metric]
    array = array.squeeze([d for d in array.dims if d not in ("seed", figure.x)], drop=True)
    x = np.atleast_1d(shown[figure.x].values)
    values = array.transpose("seed", ...).values.reshape(len(shown["seed"]), len(x))
    centre, low, high = style.band(values, figure.average)
    axes.plot(x, centre, color=colour)
    axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
    found = _expected(shown, figure, chains)
    if found:
        theory_lines.draw(axes, x, found)
    return found


def reference(axes: Axes, array: xr.DataArray, along: str, colour: Any) -> None:
    """Draw what a metric is compared with: a line, or a curve if it depends on the axis."""
    values = array.mean([d for d in array.dims if d != along])
    known = values.values[np.isfinite(values.values)]
    line = style.REFERENCE if colour is None else {**style.REFERENCE, "color": colour}
    if len(known) and np.ptp(known) == 0:
        axes.axhline(known[0], **line)
    elif len(known):
        axes.plot(values[along].values, values.values, **line)


def publications(
    axes: Axes, shown: xr.Dataset, figure: Figure, colour: Any, chains: Chains
) -> bool:
    """Mark the values published for a curve over iterations; return whether there are any."""
    spec = chains.of(shown) if figure.x == "iteration" else None
    if spec is None:
        return False
    places = marks_of(spec, chains.published, figure.metric, figure.average)
    for iteration, value in places:
        axes.plot(iteration, value, color=colour, zorder=3, clip_on=False, **style.PUBLISHED)
    return bool(places)


def _expected(shown: xr.Dataset, figure: Figure, chains: Chains) -> list[Expectation]:
    """Return the theory of a curve: one expectation, or one for each number of samples."""
    points = np.atleast_1d(shown["samples"].values) if figure.x == "samples" else [None]
    found = []
    for point in points:
        spec = chains.of(shown) if point is None else chains.of(shown, samples=point)
        expectation = comparisons.expectations(spec).get(figure.metric) if spec else None
        if expectation is None or expectation.of_first is not None:
            return []
        found.append(expectation)
    return found
