"""A table of our results beside published ones, with the difference (P1 Table 2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from collapse import families
from collapse.artifacts import files
from collapse.families.declarations import Published
from collapse.results.dataset import read_dataset, values_of
from collapse.study import Study
from collapse.study.chain_spec import ChainSpec

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

COLUMNS = [
    *("experiment", "point", "regime", "iteration", "metric", "ours", "standard_error"),
    *("change_from_first", "published", "difference", "source"),
]


def compare(chains: Iterable[ChainSpec], datasets: Mapping[str, xr.Dataset]) -> pd.DataFrame:
    """Return our value and the published one, for every regime and iteration that was published.

    Where nothing was published under the conditions of a chain (another model, other data), a
    row has our value alone.

    Parameters
    ----------
    chains : iterable of ChainSpec
    datasets : mapping of str to xarray.Dataset
        Gathered metrics, by experiment.

    Returns
    -------
    pandas.DataFrame
        ``ours`` is the mean over seeds, with its standard error.
    """
    import pandas as pd

    rows = []
    for spec in chains:
        published = families.load(spec.family).published
        places = dict.fromkeys(
            (one.iteration, one.metric)
            for one in published
            if one.regime in (spec.regime_name, None)
        )
        for iteration, metric in places:
            if iteration not in spec.evaluated:
                continue
            values = values_of(datasets[spec.experiment], spec, metric)
            first, value = (values[:, spec.evaluated.index(t)] for t in (1, iteration))
            ours, several = float(value.mean()), len(value) > 1
            error = float(value.std(ddof=1) / np.sqrt(len(value))) if several else np.nan
            place = spec.experiment, spec.point, spec.regime_name, iteration, metric
            row = *place, ours, error, float((value - first).mean())
            beside: list[tuple[Any, ...]] = [
                (one.value, ours - one.value, one.source)
                for one in published_of(spec)
                if (one.iteration, one.metric) == (iteration, metric)
            ]
            rows += [(*row, *known) for known in beside or [(np.nan, np.nan, np.nan)]]
    return pd.DataFrame(rows, columns=COLUMNS)


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
        compare(chains, datasets).to_csv(partial, index=False, float_format="%.4g")
