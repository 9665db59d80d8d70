"""What synthetic data is worth beside so many real samples, over seeds (P2).

The best of many amounts of synthetic data, chosen by the seeds that then judge it, looks better
than it is. So every amount is compared with none by an interval wide enough to hold for all the
amounts beside one number of real samples at once (Bonferroni), and with them for whichever turns
out best. Choosing on all seeds but one and judging on that one is no way around it: the choices
share all but one of their seeds, and an interval over them claims far too often that synthetic
data helps where nothing does (a test of this module shows both).
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
from collapse.results.dataset import values_of
from collapse.study import Study, mixtures
from collapse.study.mixtures import Grid, Mixture

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

Array = NDArray[np.float64]

#: Of the intervals, for all amounts of synthetic data beside one number of real samples.
CONFIDENCE = 0.95

COLUMNS = (
    "experiment",
    "point",
    "metric",
    "num_real",
    "best_num_synthetic",
    "value",
    "standard_error",
    "none",
    "none_standard_error",
    "difference",
    "low",
    "high",
    "amounts",
    "seeds",
    "beats_none",
)


class Effect(NamedTuple):
    """Difference from no synthetic data, paired over seeds, with the ends of its interval."""

    difference: float
    low: float
    high: float

    @property
    def decided(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


def last_values(dataset: xr.Dataset, grid: Grid, metric: str) -> dict[Mixture, Array]:
    """Return a metric at the last iteration, for every mixture of a grid: an array (seeds,)."""
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
        For mixtures with synthetic samples. The intervals are Student's, and hold together for
        all amounts beside one number of real samples; of fewer than two seeds, or of values
        that are not finite, there is none (nan).
    """
    found = {}
    for mixture, mixed in values.items():
        alone = values.get(Mixture(mixture.real, 0))
        if mixture.synthetic and alone is not None:
            found[mixture] = _effect(mixed, alone, len(_amounts(values, mixture.real)))
    return found


def _amounts(values: Mapping[Mixture, Array], real: int) -> list[Mixture]:
    """Mixtures of a number of real samples with any synthetic ones."""
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
    """Half an interval in standard errors."""
    return float(student.isf((1 - CONFIDENCE) / 2 / amounts, freedom))


def tabulate(experiment: str, dataset: xr.Dataset, grids: Sequence[Grid]) -> pd.DataFrame:
    """Return, for every number of real samples, the best amount of synthetic data.

    Parameters
    ----------
    experiment : str
        Its name.
    dataset : xarray.Dataset
        Its gathered metrics.
    grids : sequence of Grid

    Returns
    -------
    pandas.DataFrame
        The best amount, of those above none, is that of the best mean over seeds of the
        metric by which the family's mixtures are judged, at the last iteration. ``difference``
        is from the same real samples alone, with its interval (see `effects`), and
        ``beats_none`` says what follows: yes, no, undecided, or - where the grid has no such
        mixture.
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
            rows.append(
                {
                    "experiment": experiment,
                    "point": grid.point,
                    "metric": headline.metric,
                    "num_real": real,
                    "best_num_synthetic": best.synthetic,
                    "value": value,
                    "standard_error": error,
                    "none": none,
                    "none_standard_error": none_error,
                    **effect._asdict(),
                    "amounts": len(amounts),
                    "seeds": len(values[best]),
                    "beats_none": verdict(effect, headline) if best in compared else "-",
                }
            )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def best_of(values: Mapping[Mixture, Array], headline: Headline) -> Mixture:
    """Return the mixture of the best mean over seeds; without any value, the first."""
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
    """Say whether synthetic data beats none: yes, no, or undecided."""
    if not effect.decided:
        return "undecided"
    better = effect.high < 0 if headline.worse == "higher" else effect.low > 0
    return "yes" if better else "no"


def write(metrics: str, *, study: Mapping[str, Any], table: Path) -> None:
    """Write the table of what synthetic data is worth beside so many real samples."""
    import xarray as xr

    experiment = Path(metrics).parent.name
    grids = mixtures.grids(Study.model_validate(study).chains(experiment))
    with xr.open_dataset(metrics) as dataset, files.whole(table) as partial:
        found = tabulate(experiment, dataset, grids)
        found.to_csv(partial, index=False, float_format="%.5g")
