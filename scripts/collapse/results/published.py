"""A table of our results beside published ones, with the difference (P1 Table 2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from collapse import families
from collapse.artifacts import files
from collapse.families.declarations import Published
from collapse.results import comparisons
from collapse.results.dataset import read_dataset, values_of
from collapse.results.published_statistics import MEANS, ours, verdict
from collapse.study import Study
from collapse.study.chain_spec import ChainSpec
from collapse.study.published_values import PublishedValue

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

COLUMNS = [
    *("experiment", "point", "regime", "iteration", "metric", "statistic", "ours"),
    *("standard_error", "change_from_first", "published", "difference", "verdict", "read"),
    "source",
]


def compare(
    chains: Iterable[ChainSpec],
    datasets: Mapping[str, xr.Dataset],
    values: Sequence[PublishedValue] = (),
) -> pd.DataFrame:
    """Return our value and the published one, for every regime and iteration that was published.

    Where nothing was published under the conditions of a chain (another model, other data), a
    row has our value alone.

    Parameters
    ----------
    chains : iterable of ChainSpec
    datasets : mapping of str to xarray.Dataset
        Gathered metrics, by experiment.
    values : sequence of PublishedValue
        Those of the study. They take the place of what the family has at an iteration, and alone
        have a verdict.

    Returns
    -------
    pandas.DataFrame
        ``ours`` is the mean over seeds if the family has the value, with its standard error; that
        of the study's values is at least what theory knows.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for spec in chains:
        of_chain = [value for value in values if value.concerns(spec)]
        own = {(t, value.metric) for value in of_chain for t in value.iterations}
        place = {"experiment": spec.experiment, "point": spec.point, "regime": spec.regime_name}
        rows += [place | row for row in _of_family(spec, datasets[spec.experiment], own)]
        rows += [place | _of_study(spec, datasets[spec.experiment], value) for value in of_chain]
    return pd.DataFrame(rows, columns=COLUMNS)


def _of_family(
    spec: ChainSpec, dataset: xr.Dataset, own: set[tuple[int, str]]
) -> Iterator[dict[str, Any]]:
    """Yield the rows of the values that the family has, besides those of the study's own."""
    places = dict.fromkeys(
        (one.iteration, one.metric)
        for one in families.load(spec.family).published
        if one.regime in (spec.regime_name, None)
    )
    for iteration, metric in places:
        if iteration not in spec.evaluated or (iteration, metric) in own:
            continue
        values = values_of(dataset, spec, metric)
        first, value = (values[:, spec.evaluated.index(t)] for t in (1, iteration))
        found = ours("mean", value[:, None], [iteration])
        row = {
            "iteration": iteration,
            "metric": metric,
            "statistic": "mean",
            "ours": found.value,
            "standard_error": found.deviation / np.sqrt(len(value)),
            "change_from_first": float((value - first).mean()),
        }
        beside = [
            {"published": one.value, "difference": found.value - one.value, "source": one.source}
            for one in published_of(spec)
            if (one.iteration, one.metric) == (iteration, metric)
        ]
        yield from (row | known for known in beside or [{}])


def _of_study(spec: ChainSpec, dataset: xr.Dataset, value: PublishedValue) -> dict[str, Any]:
    """Return the row of a published value of the study."""
    values = values_of(dataset, spec, value.metric).reshape(len(dataset["seed"]), -1)
    at = [spec.evaluated.index(t) for t in value.iterations]
    found = ours(value.statistic, values[:, at] if at else values, value.iterations)
    if value.statistic in MEANS:
        # A few seeds seldom show the spread of a skewed law.
        known = _known_deviation(spec, value.metric, at)
        found = found._replace(deviation=np.fmax(found.deviation, known))
    seeds = len(values)
    return {
        "iteration": value.iteration or spec.iterations,
        "metric": value.metric,
        "statistic": value.statistic,
        "ours": found.value,
        "standard_error": found.deviation / np.sqrt(seeds),
        "published": value.value,
        "difference": found.value - value.value,
        "verdict": verdict(value, found, seeds),
        "read": value.read,
        "source": value.source,
    }


def _known_deviation(spec: ChainSpec, metric: str, at: list[int]) -> float:
    """Return the standard deviation over seeds that theory has, at least; 0 if it has none."""
    theory = comparisons.expectations(spec).get(metric)
    if (
        theory is None
        or theory.mean is None
        or theory.deviation is None
        or theory.spread == "scale"
    ):
        return 0.0
    if theory.of_first is not None:
        return 0.0
    return float(np.nan_to_num(theory.deviation[at[0]] if at else theory.deviation, posinf=np.inf))


def marks_of(
    spec: ChainSpec, values: Sequence[PublishedValue], metric: str, average: str
) -> list[tuple[int, float]]:
    """Return the iterations and values at which a figure of averages marks what was published.

    They are the study's own, of the same statistic, and at other iterations the family's.
    """
    own = [v for v in values if v.metric == metric and v.concerns(spec) and len(v.iterations) == 1]
    places = {(value.iterations[0], value.value) for value in own if value.statistic == average}
    taken = {value.iterations[0] for value in own}
    for one in published_of(spec):
        if one.metric == metric and one.iteration <= spec.iterations and one.iteration not in taken:
            places.add((one.iteration, one.value))
    return sorted(places)


def published_of(spec: ChainSpec) -> list[Published]:
    """Return the values published for the regime, parameters and samples of a chain."""
    return [
        one
        for one in families.load(spec.family).published
        if one.regime in (spec.regime_name, None) and _same(one.conditions, spec)
    ]


def _same(conditions: Mapping[str, Any], spec: ChainSpec) -> bool:
    found = {**spec.parameters, "samples": spec.samples}
    return all(
        found[key] in (value if isinstance(value, tuple) else (value,))
        for key, value in conditions.items()
    )


def write(metrics: Sequence[str], *, study: Mapping[str, Any], table: Path) -> None:
    """Write the table of our results beside published ones."""
    parsed = Study.model_validate(study)
    datasets = {Path(path).parent.name: read_dataset(path) for path in metrics}
    chains = (spec for name in datasets for spec in parsed.chains(name))
    with files.whole(table) as partial:
        found = compare(chains, datasets, parsed.published_values)
        found.to_csv(partial, index=False, float_format="%.8g")
