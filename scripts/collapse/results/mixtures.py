"""For each number of real samples, the best amount of synthetic data, and whether it helps (P2).

The best of many amounts of synthetic data looks better than it is if the same seeds choose and
evaluate it. So every amount is compared with none by an interval that holds for all amounts and all
numbers of real samples of an experiment at once (Dunnett's, corrected by Šidák for the rows), and
therefore for the best ones. Choosing on all seeds but one and evaluating on that one does not help:
the choices share all but one of their seeds, and an interval over them claims far too often that
synthetic data helps where it changes nothing (a test of this module shows both).

Few seeds say little about the variance, so it is pooled over the amounts beside one number of real
samples. Where differences from none scatter more than pooling would have it, because none scatters
more than the amounts do, or one amount more than the others, the larger variance counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from collapse import families
from collapse.artifacts import files
from collapse.families.declarations import Headline
from collapse.results.dataset import read_dataset, values_of
from collapse.study import Study, mixtures, power
from collapse.study.mixtures import Grid, Mixture

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

Array = NDArray[np.float64]

COLUMNS = [
    *("experiment", "point", "metric", "num_real", "best_num_synthetic", "value", "standard_error"),
    *("none", "none_standard_error", "difference", "low", "high", "detectable", "amounts", "seeds"),
    "beats_none",
]


class Effect(NamedTuple):
    """Mean difference from no synthetic data, paired over seeds, and the ends of its interval.

    ``detectable`` is the smallest effect that the same seeds decide with `power.POWER`.
    """

    difference: float
    low: float = np.nan
    high: float = np.nan
    detectable: float = np.nan

    @property
    def decided(self) -> bool:
        """Whether the interval excludes zero."""
        return self.low > 0 or self.high < 0


def last_values(dataset: xr.Dataset, grid: Grid, metric: str) -> dict[Mixture, Array]:
    """Return a metric at the last iteration for every mixture of a grid, of shape (seeds,)."""
    return {
        mixture: values_of(dataset, spec, metric)[:, -1] for mixture, spec in grid.chains.items()
    }


def effects(values: Mapping[Mixture, Array], grids: int = 1) -> dict[Mixture, Effect]:
    """Compare every mixture with the same real samples alone, where the grid has them.

    Parameters
    ----------
    values : mapping of Mixture to ndarray, shape (seeds,)
    grids : int
        Number of grids of an experiment, which are read together.

    Returns
    -------
    dict of Mixture to Effect
        One for each mixture with synthetic samples. The intervals of all grids hold jointly.
        Their ends are NaN if there are fewer than two seeds with values of all amounts beside a
        number of real samples, or values that are not finite.
    """
    rows = {
        mixture.real: _amounts(values, mixture.real) for mixture in values if not mixture.synthetic
    }
    rows = {real: amounts for real, amounts in rows.items() if amounts}
    found: dict[Mixture, Effect] = {}
    for real, amounts in rows.items():
        alone = values[Mixture(real, 0)]
        found |= _row({amount: values[amount] for amount in amounts}, alone, grids * len(rows))
    return {mixture: found[mixture] for mixture in values if mixture in found}


def _amounts(values: Mapping[Mixture, Array], real: int) -> list[Mixture]:
    """Return the mixtures of a number of real samples with any synthetic ones."""
    return [mixture for mixture in values if mixture.real == real and mixture.synthetic]


def _row(mixed: Mapping[Mixture, Array], alone: Array, rows: int) -> dict[Mixture, Effect]:
    """Compare all amounts beside one number of real samples with none."""
    known = {name: each for name, each in mixed.items() if not np.isnan(each).all()}
    found = {mixture: Effect(np.nan) for mixture in mixed}
    if not known or np.isnan(alone).all():
        return found
    every = np.stack([alone, *known.values()])
    every = every[:, ~np.isnan(every).any(axis=0)]
    if not every.shape[1]:
        return found
    with np.errstate(invalid="ignore"):
        differences = every[1:] - every[0]
        found |= zip(known, map(Effect, differences.mean(axis=1).tolist()), strict=True)
    finite = [0, *(np.flatnonzero(np.isfinite(differences).all(axis=1)) + 1)]
    seeds, amounts = every.shape[1], len(finite) - 1
    if seeds < 2 or not amounts:
        return found
    freedom = amounts * (seeds - 1)
    half = power.critical_value(amounts, freedom, rows)
    shown = power.detectable(amounts, freedom, rows)
    names = list(known)
    errors = np.sqrt(_variances(every[finite]) / seeds)
    for place, error in zip(finite[1:], errors.tolist(), strict=True):
        name = names[place - 1]
        centre = found[name].difference
        found[name] = Effect(centre, centre - half * error, centre + half * error, shown * error)
    return found


def _variances(values: Array) -> Array:
    """Return the variance over seeds of each amount's difference from none, which is first.

    It is twice the variance that remains when amounts and seeds are adjusted for (two-way analysis
    of variance), or the mean variance of all differences or that of its own, if one is larger.
    """
    amounts, seeds = len(values) - 1, values.shape[1]
    residuals = values - values.mean(axis=1, keepdims=True)
    residuals = residuals - residuals.mean(axis=0)
    pooled = 2 * (residuals**2).sum() / (amounts * (seeds - 1))
    own = (values[1:] - values[0]).var(axis=1, ddof=1)
    return np.maximum(own, max(pooled, own.mean()))


def tabulate(experiment: str, dataset: xr.Dataset, grids: Sequence[Grid]) -> pd.DataFrame:
    """Return, for every number of real samples, the best amount of synthetic data.

    Parameters
    ----------
    experiment : str
        Name of the experiment.
    dataset : xarray.Dataset
        Its gathered metrics.
    grids : sequence of Grid

    Returns
    -------
    pandas.DataFrame
        The best amount above zero has the best mean over seeds, at the last iteration, of the
        metric by which the family summarises mixtures. ``difference`` is its difference from
        the same real samples alone, with its interval (see `effects`). ``beats_none`` says
        whether it improves on them: yes, no, undecided, or - if the grid lacks them, and
        ``detectable`` how large an effect these seeds decide in four of five cases.
    """
    import pandas as pd

    headline = families.load(dataset.attrs["family"]).headline_of_mixtures
    rows = []
    for grid in grids:
        values = last_values(dataset, grid, headline.metric)
        compared = effects(values, len(grids))
        for real in sorted({mixture.real for mixture in values}):
            amounts = _amounts(values, real)
            if not amounts:
                continue
            best = best_of({mixture: values[mixture] for mixture in amounts}, headline)
            value, error = mean(values[best])
            none, none_error = mean(values.get(Mixture(real, 0), np.array([])))
            effect = compared.get(best, Effect(np.nan))
            place = experiment, grid.point, headline.metric, real, best.synthetic
            numbers = len(amounts), len(values[best])
            beats_none = verdict(effect, headline) if best in compared else "-"
            rows.append((*place, value, error, none, none_error, *effect, *numbers, beats_none))
    return pd.DataFrame(rows, columns=COLUMNS)


def best_of(values: Mapping[Mixture, Array], headline: Headline) -> Mixture:
    """Return the mixture with the best mean over seeds, or the first if none has a value."""
    sign = -1.0 if headline.worse == "higher" else 1.0
    goodness = {mixture: sign * mean(each)[0] for mixture, each in values.items()}
    return max(goodness, key=lambda mixture: np.nan_to_num(goodness[mixture], nan=-np.inf))


def mean(values: Array) -> tuple[float, float]:
    """Return the mean over the seeds that have a value, and its standard error."""
    values = values[~np.isnan(values)]
    if not len(values):
        return np.nan, np.nan
    if len(values) == 1 or not np.isfinite(values).all():
        return float(values.mean()), np.nan
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def verdict(effect: Effect, headline: Headline) -> str:
    """Return whether synthetic data improves on none: yes, no, or undecided."""
    if not effect.decided:
        return "undecided"
    better = effect.high < 0 if headline.worse == "higher" else effect.low > 0
    return "yes" if better else "no"


def write(metrics: str, *, study: Mapping[str, Any], table: Path) -> None:
    """Write the table of the best amount of synthetic data for each number of real samples."""
    experiment = Path(metrics).parent.name
    grids = mixtures.grids(Study.model_validate(study).chains(experiment))
    found = tabulate(experiment, read_dataset(metrics), grids)
    with files.whole(table) as partial:
        found.to_csv(partial, index=False, float_format="%.5g")
