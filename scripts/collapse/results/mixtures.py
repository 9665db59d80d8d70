"""For each number of real samples, the best amount of synthetic data, and whether it helps (P2).

The best of many amounts of synthetic data looks better than it is if the same seeds choose and
evaluate it. So every amount is compared with none by an interval that holds for all amounts beside
one number of real samples at once (Bonferroni), and therefore for the best one. Choosing on all
seeds but one and evaluating on that one does not help: the choices share all but one of their
seeds, and an interval over them claims far too often that synthetic data helps where it changes
nothing (a test of this module shows both).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from collapse import families
from collapse.artifacts import files
from collapse.families.declarations import Headline
from collapse.results.dataset import read_dataset, values_of
from collapse.study import Study, mixtures
from collapse.study.mixtures import Grid, Mixture

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

Array = NDArray[np.float64]

#: Joint confidence of the intervals of all amounts beside one number of real samples.
CONFIDENCE = 0.95

COLUMNS = [
    *("experiment", "point", "metric", "num_real", "best_num_synthetic", "value", "standard_error"),
    *("none", "none_standard_error", "difference", "low", "high", "amounts", "seeds", "beats_none"),
]


class Effect(NamedTuple):
    """Mean difference from no synthetic data, paired over seeds, and the ends of its interval."""

    difference: float
    low: float
    high: float

    @property
    def decided(self) -> bool:
        """Whether the interval excludes zero."""
        return self.low > 0 or self.high < 0


def last_values(dataset: xr.Dataset, grid: Grid, metric: str) -> dict[Mixture, Array]:
    """Return a metric at the last iteration for every mixture of a grid, of shape (seeds,)."""
    return {
        mixture: values_of(dataset, spec, metric)[:, -1] for mixture, spec in grid.chains.items()
    }


def effects(values: Mapping[Mixture, Array]) -> dict[Mixture, Effect]:
    """Compare every mixture with the same real samples alone, where the grid has them.

    Parameters
    ----------
    values : mapping of Mixture to ndarray, shape (seeds,)

    Returns
    -------
    dict of Mixture to Effect
        One for each mixture with synthetic samples. The intervals are Student's, and hold
        jointly for all amounts beside one number of real samples; their ends are NaN if there
        are fewer than two seeds or values that are not finite.
    """
    found = {}
    for mixture, mixed in values.items():
        alone = values.get(Mixture(mixture.real, 0))
        if mixture.synthetic and alone is not None:
            found[mixture] = _effect(mixed, alone, len(_amounts(values, mixture.real)))
    return found


def _amounts(values: Mapping[Mixture, Array], real: int) -> list[Mixture]:
    """Return the mixtures of a number of real samples with any synthetic ones."""
    return [mixture for mixture in values if mixture.real == real and mixture.synthetic]


def _effect(mixed: Array, alone: Array, amounts: int) -> Effect:
    with np.errstate(invalid="ignore"):
        differences = mixed - alone
    differences = differences[~np.isnan(differences)]
    if not len(differences):
        return Effect(np.nan, np.nan, np.nan)
    centre = float(differences.mean())
    if len(differences) < 2 or not np.isfinite(differences).all():
        return Effect(centre, np.nan, np.nan)
    error = float(differences.std(ddof=1) / np.sqrt(len(differences)))
    half = _width(amounts, len(differences) - 1) * error
    return Effect(centre, centre - half, centre + half)


@functools.cache
def _width(amounts: int, freedom: int) -> float:
    """Return half the width of an interval, in standard errors."""
    return float(student.isf((1 - CONFIDENCE) / 2 / amounts, freedom))


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
        whether it improves on them: yes, no, undecided, or - if the grid lacks them.
    """
    import pandas as pd

    headline = families.load(dataset.attrs["family"]).headline_of_mixtures
    rows = []
    for grid in grids:
        values = last_values(dataset, grid, headline.metric)
        compared = effects(values)
        for real in sorted({mixture.real for mixture in values}):
            amounts = _amounts(values, real)
            if not amounts:
                continue
            best = best_of({mixture: values[mixture] for mixture in amounts}, headline)
            value, error = mean(values[best])
            none, none_error = mean(values.get(Mixture(real, 0), np.array([])))
            effect = compared.get(best, Effect(np.nan, np.nan, np.nan))
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
