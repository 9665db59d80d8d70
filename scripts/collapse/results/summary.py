"""The summary at the end of a run: what became of each experiment under each regime."""

from __future__ import annotations

import html
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from collapse import families
from collapse.artifacts import files
from collapse.families.declarations import Headline
from collapse.results import theory_verdicts
from collapse.results.dataset import read_dataset, values_of
from collapse.results.mixtures import best_of, last_values, mean, tabulate
from collapse.study import Study, mixtures
from collapse.study.mixtures import Grid
from collapse.study.names import decoded

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

Array = NDArray[np.float64]

COLUMNS = ["experiment", "regime", "metric", "first", "last", "verdict", "theory"]
#: A metric has collapsed if at most this share of its first value is left.
LOST = 0.01
#: A metric has levelled off if at most this share of its change is in the second half.
LEVEL = 0.15
#: Verdicts on curves, from worst to best.
VERDICTS = ("collapses", "degrades", "levels off", "stable", "improves")
#: Wording of whether synthetic data improves on none.
WORTH = {"yes": "helps", "no": "hurts", "undecided": "undecided"}
#: What stands where there is no theory.
NO_THEORY = "-"


def summarise(experiment: str, dataset: xr.Dataset, agreement: dict[str, str]) -> pd.DataFrame:
    """Summarise an experiment: one row per regime.

    Parameters
    ----------
    experiment : str
        Its name.
    dataset : xarray.Dataset
        Its gathered metrics.
    agreement : dict of str to str
        Verdict of theory, for the regimes for which there is one.

    Returns
    -------
    pandas.DataFrame
        The first and the last value are medians over points of the mean over seeds (geometric
        for metrics on a log scale). The verdict is the most frequent one among points.
    """
    import pandas as pd

    headline = families.load(dataset.attrs["family"]).headline
    rows = []
    for regime in dataset["regime"].values:
        array = dataset[headline.metric].sel(regime=regime)
        array = array.stack(point=[d for d in array.dims if d not in ("seed", "iteration")])
        curves = _curves(array.transpose("point", "seed", "iteration").values, headline.scale)
        iterations = dataset["iteration"].values
        verdicts = [verdict(curve, iterations, headline) for curve in curves]
        first, last = np.median(curves, axis=0)[[0, -1]]
        usual, theory = max(VERDICTS, key=verdicts.count), agreement.get(regime, NO_THEORY)
        rows.append((experiment, regime, headline.metric, first, last, usual, theory))
    return pd.DataFrame(rows, columns=COLUMNS)


def summarise_mixtures(
    experiment: str, dataset: xr.Dataset, grids: Sequence[Grid], agreement: dict[str, str]
) -> pd.DataFrame:
    """Summarise the grids of mixtures of an experiment: one row per point.

    Parameters
    ----------
    experiment : str
        Its name.
    dataset : xarray.Dataset
        Its gathered metrics.
    grids : sequence of Grid
        At least one.
    agreement : dict of str to str
        Verdict of theory, for the regimes for which there is one.

    Returns
    -------
    pandas.DataFrame
        The columns of `summarise`, for the metric by which the family summarises mixtures; the
        values are those of the best mixture. The verdict says with which numbers of real
        samples synthetic data helps.
    """
    import pandas as pd

    headline = families.load(dataset.attrs["family"]).headline_of_mixtures
    compared = tabulate(experiment, dataset, grids)
    rows = []
    for grid, distinction in zip(grids, mixtures.distinctions(grids), strict=True):
        values = last_values(dataset, grid, headline.metric)
        best = best_of(values, headline)
        first = values_of(dataset, grid.chains[best], headline.metric)[:, 0]
        agreed = [
            agreement[spec.regime_name]
            for spec in grid.chains.values()
            if spec.regime_name in agreement
        ]
        named = f"{len(values)} mixtures {distinction}".rstrip()
        findings = _findings(compared[compared["point"] == grid.point])
        theory = theory_verdicts.together(agreed) or NO_THEORY
        averages = mean(first)[0], mean(values[best])[0]
        rows.append((experiment, named, headline.metric, *averages, findings, theory))
    return pd.DataFrame(rows, columns=COLUMNS)


def _findings(table: pd.DataFrame) -> str:
    """Return with which numbers of real samples synthetic data helps, hurts, or is undecided."""
    compared = table[table["beats_none"] != "-"]
    found = []
    for answer, rows in itertools.groupby(compared.itertuples(), lambda row: row.beats_none):
        reals, sizes = zip(*((str(row.num_real), row.detectable) for row in rows), strict=True)
        span = "-".join(dict.fromkeys([reals[0], reals[-1]]))
        shown = _would_show(sizes) if answer == "undecided" else ""
        found.append(f"{WORTH[str(answer)]} ({span} real{shown})")
    return ", ".join(found) or "-"


def _would_show(sizes: Sequence[float]) -> str:
    """Say how large the effects are that the seeds decide, where they left something undecided."""
    known = [size for size in sizes if np.isfinite(size)]
    if not known:
        return "; no effect would show"
    span = "-".join(dict.fromkeys(f"{size:.2g}" for size in (min(known), max(known))))
    return f"; {span} would show"


def _curves(values: Array, scale: str) -> Array:
    """Return (points, iterations): averages over seeds, geometric ones on a log scale."""
    if scale == "linear":
        return values.mean(axis=1)
    return np.exp(np.log(np.maximum(values, 1e-300)).mean(axis=1))


def verdict(curve: Array, iterations: NDArray[np.int64], headline: Headline) -> str:
    """Return the verdict on a curve over the evaluated iterations, from its change and how late.

    A curve collapses if hardly anything is left of a metric that should not fall, degrades if
    it still gets worse in the second half of the iterations, and levels off if it got worse but
    hardly does so any more.
    """
    if headline.worse == "lower" and curve[-1] <= LOST * curve[0]:
        return "collapses"
    scaled = np.log(np.maximum(curve, 1e-300)) if headline.scale == "log" else curve
    worse = scaled if headline.worse == "higher" else -scaled
    change = worse[-1] - worse[0]
    if abs(change) <= headline.stable * (1.0 if headline.scale == "log" else abs(worse[0])):
        return "stable"
    if change < 0:
        return "improves"
    half = np.searchsorted(iterations, (iterations[0] + iterations[-1]) / 2)
    late = worse[-1] - worse[half]
    return "levels off" if late <= LEVEL * change else "degrades"


def render_page(table: pd.DataFrame) -> str:
    """Return the table as HTML, with the verdicts as classes, and links to the experiments."""
    lines = ["<tr>" + "".join(f"<th>{column}</th>" for column in table.columns) + "</tr>"]
    for row in table.to_dict("records"):
        cells = {column: html.escape(str(value)) for column, value in row.items()}
        cells |= {column: f"{row[column]:.4g}" for column in ("first", "last")}
        cells["experiment"] = '<a href="#{0}">{0}</a>'.format(cells["experiment"])
        cells["regime"] = html.escape(decoded(row["regime"]))
        kind = row["verdict"].replace(" ", "-") if row["verdict"] in VERDICTS else "mixtures"
        line = "".join(f"<td>{cell}</td>" for cell in cells.values())
        lines.append(f'<tr class="{kind}">{line}</tr>')
    return '<table class="verdicts">\n{}\n</table>\n'.format("\n".join(lines))


def render(table: pd.DataFrame) -> str:
    """Return the table as text for a terminal."""
    written = table.to_markdown(tablefmt="simple", floatfmt=".4g", numalign="right", index=False)
    return f"{written}\n"


def write(
    metrics: Sequence[str],
    *,
    study: Mapping[str, Any],
    verdicts: Path,
    text: Path,
    table: Path,
    page: Path,
) -> None:
    """Write the summary of all experiments as CSV, as text, and as HTML for the report."""
    import pandas as pd

    parsed = Study.model_validate(study)
    checked = pd.read_csv(verdicts)
    parts = []
    for path in metrics:
        experiment = Path(path).parent.name
        mine = checked[checked["experiment"] == experiment]
        agreement = {
            str(regime): theory_verdicts.of_regime(group)
            for regime, group in mine.groupby("regime")
        }
        grids = mixtures.grids(parsed.chains(experiment))
        found = read_dataset(path)
        unmixed = mixtures.unmixed(grids, parsed.named_regimes_of(experiment))
        if unmixed:
            parts.append(summarise(experiment, found.sel(regime=unmixed), agreement))
        if grids:
            parts.append(summarise_mixtures(experiment, found, grids, agreement))
    whole = pd.concat(parts, ignore_index=True)
    with files.whole(table) as partial:
        whole.to_csv(partial, index=False)
    said = theory_verdicts.line(checked)
    files.write_text(text, render(whole) + (f"\n{said}\n" if said else ""))
    files.write_text(page, render_page(whole) + (f"<p>{html.escape(said)}</p>\n" if said else ""))
