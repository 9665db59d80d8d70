"""The short table at the end of a run: what happened to each experiment under each regime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from collapse import families

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

Array = NDArray[np.float64]

#: A metric has levelled off if this share of its change or less is in the second half.
LEVEL = 0.15
#: Below this factor (log scale) or share of its first value (linear scale) it has hardly changed.
STABLE = 0.25


def summarise(experiment: str, dataset: xr.Dataset, agreement: dict[str, bool]) -> pd.DataFrame:
    """Summarise an experiment: one row per regime.

    Parameters
    ----------
    experiment : str
        Its name.
    dataset : xarray.Dataset
        Its gathered metrics.
    agreement : dict of str to bool
        Whether theory agrees, for the regimes for which there is one.

    Returns
    -------
    pandas.DataFrame
        Medians over points of the mean over seeds (geometric for metrics on a log scale).
    """
    import pandas as pd

    headline = families.load(dataset.attrs["family"]).HEADLINE
    rows = []
    for regime in dataset["regime"].values:
        array = dataset[headline.metric].sel(regime=regime)
        array = array.stack(point=[d for d in array.dims if d not in ("seed", "iteration")])
        curves = _scaled(array.transpose("point", "seed", "iteration").values, headline.scale)
        curve = np.median(curves.mean(axis=1), axis=0)
        first, last = (np.exp(curve) if headline.scale == "log" else curve)[[0, -1]]
        theory = agreement.get(regime)
        rows.append(
            {
                "experiment": experiment,
                "regime": regime,
                "metric": headline.metric,
                "first": first,
                "last": last,
                "verdict": verdict(curve, headline),
                "theory": {None: "-", True: "agrees", False: "DISAGREES"}[theory],
            }
        )
    return pd.DataFrame(rows)


def _scaled(values: Array, scale: str) -> Array:
    return np.log(np.maximum(values, 1e-300)) if scale == "log" else values


def verdict(curve: Array, headline: families.Headline) -> str:
    """Judge a curve over iterations: stable, levels off, improves or degrades.

    It degrades if it is still getting worse in the second half of the iterations, and
    levels off if it got worse but has all but stopped.
    """
    worse = curve if headline.worse == "higher" else -curve
    change = worse[-1] - worse[0]
    unit = 1.0 if headline.scale == "log" else abs(worse[0])
    if abs(change) <= STABLE * unit:
        return "stable"
    if change < 0:
        return "improves"
    late = worse[-1] - worse[len(worse) // 2]
    return "levels off" if late <= LEVEL * change else "degrades"


def render(table: pd.DataFrame) -> str:
    """Render the table for a terminal."""
    shown: dict[str, list[str]] = {column: [] for column in table.columns}
    for row in table.to_dict("records"):
        for column, value in row.items():
            shown[str(column)].append(_text(value))
    widths = {c: max([len(c), *map(len, texts)]) for c, texts in shown.items()}
    right = {"first", "last"}

    def line(texts: dict[str, Any]) -> str:
        cells = [texts[c].rjust(w) if c in right else texts[c].ljust(w) for c, w in widths.items()]
        return "  ".join(cells).rstrip()

    lines = [line({c: c for c in widths}), line({c: "-" * w for c, w in widths.items()})]
    for index in range(len(table)):
        lines.append(line({c: texts[index] for c, texts in shown.items()}))
    return "\n".join(lines) + "\n"


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
