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

COLUMNS = (
    "experiment",
    "point",
    "regime",
    "iteration",
    "metric",
    "ours",
    "standard_error",
    "change_from_first",
    "published",
    "difference",
    "source",
)


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
            known: list[Published | None] = [
                one
                for one in published_of(spec)
                if (one.iteration, one.metric) == (iteration, metric)
            ]
            ours = float(value.mean())
            row = {
                "experiment": spec.experiment,
                "point": spec.point,
                "regime": spec.regime_name,
                "iteration": iteration,
                "metric": metric,
                "ours": ours,
                "standard_error": float(value.std(ddof=1) / np.sqrt(len(value)))
                if len(value) > 1
                else np.nan,
                "change_from_first": float((value - first).mean()),
            }
            for one in known or [None]:
                beside = {}
                if one is not None:
                    beside = {
                        "published": one.value,
                        "difference": ours - one.value,
                        "source": one.source,
                    }
                rows.append({**row, **beside})
    return pd.DataFrame(rows, columns=list(COLUMNS))


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
