"""Comparison of simulation with theory: z-scores, and whether they agree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student

from collapse import families
from collapse.artifacts import files
from collapse.families.declarations import Expectation
from collapse.results.dataset import read_dataset, values_of
from collapse.study import Study
from collapse.study.chain_spec import ChainSpec

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

Array = NDArray[np.float64]

#: Probability that a threshold gives a false alarm in a study, if all of its theory holds.
FALSE_ALARM = 1e-3


def expectations(spec: ChainSpec) -> dict[str, Expectation]:
    """Return the expectations of a chain's metrics at the evaluated iterations, if any."""
    family = families.load(spec.family)
    at = np.asarray(spec.evaluated) - 1

    def evaluated(values: Array) -> Array:
        return values[at] if values.ndim else values

    def recorded(one: Expectation) -> Expectation:
        spread = None if one.deviation is None else evaluated(one.deviation)
        return one._replace(mean=evaluated(one.mean), deviation=spread)

    found = family.expectations(
        family.parameters(**spec.parameters), spec.regime, spec.samples, spec.iterations
    )
    return {metric: recorded(one) for metric, one in found.items()}


class Comparison(NamedTuple):
    """Simulated means, their standard errors, and z-scores against theory (NaN without one)."""

    simulated: Array
    standard_error: Array
    expected: Array
    z: Array


def compare(values: Array, expectation: Expectation) -> Comparison:
    """Compare a metric of one chain with its expectation.

    Parameters
    ----------
    values : ndarray, shape (seeds, iterations) or (seeds,)
    expectation : Expectation

    Returns
    -------
    Comparison
        The standard error is the larger of the sample's and the theoretical one.
    """
    if expectation.above_first:
        values = values - values[:, :1]
    seeds = len(values)
    with np.errstate(invalid="ignore"):
        simulated = values.mean(axis=0)
        spread = values.std(axis=0, ddof=1) if seeds > 1 else np.full_like(simulated, np.nan)
    if expectation.deviation is not None:
        spread = np.fmax(spread, expectation.deviation)
    standard_error = spread / np.sqrt(seeds)
    with np.errstate(invalid="ignore"):  # both are -inf for a singular covariance
        difference = simulated - expectation.mean
    # Where both are exact (iteration 1 of a difference, a chain that cannot move) the difference
    # is only rounding error and is no evidence.
    exact = np.abs(difference) <= 1e-9 * np.abs(expectation.mean) + 1e-300
    with np.errstate(invalid="ignore", divide="ignore"):
        z = np.where(exact & ~(standard_error > 0), 0.0, difference / standard_error)
    # The spread is an estimate, so z is the normal quantile of the same tail of Student's t.
    z = np.sign(z) * norm.isf(student.sf(np.abs(z), max(1, seeds - 1)))
    z = np.where(np.isfinite(expectation.mean) & np.isfinite(simulated), z, np.nan)
    return Comparison(simulated, standard_error, np.broadcast_to(expectation.mean, z.shape), z)


def compare_chains(chains: Iterable[ChainSpec], datasets: dict[str, xr.Dataset]) -> pd.DataFrame:
    """Return the comparison of every chain that has a theory, one row per metric and iteration."""
    import pandas as pd

    frames = [pd.DataFrame(rows) for spec in chains for rows in _rows(spec, datasets)]
    if not frames:
        columns = ["experiment", "regime", "point", "metric", "iteration", "z", "source"]
        return pd.DataFrame(columns=columns)
    return pd.concat(frames, ignore_index=True).dropna(subset="z")


def _rows(spec: ChainSpec, datasets: dict[str, xr.Dataset]) -> Iterator[dict[str, Any]]:
    for metric, expectation in expectations(spec).items():
        if not expectation.exact:
            continue
        result = compare(values_of(datasets[spec.experiment], spec, metric), expectation)
        per_iteration = result.z.ndim == 1
        yield {
            "experiment": spec.experiment,
            "regime": spec.regime_name,
            "point": spec.point,
            "metric": metric,
            "iteration": list(spec.evaluated) if per_iteration else [spec.iterations],
            "simulated": np.atleast_1d(result.simulated),
            "standard_error": np.atleast_1d(result.standard_error),
            "expected": np.atleast_1d(result.expected),
            "z": np.atleast_1d(result.z),
            "source": expectation.source,
        }


def judge(comparisons: pd.DataFrame) -> pd.DataFrame:
    """Return whether theory agrees, for each experiment, regime and metric, from the z-scores.

    There are two thresholds, each corrected (Bonferroni) for a false alarm in `FALSE_ALARM` of
    studies: one on the largest single z, one on z pooled over the points at the same iteration,
    which detects a bias too small for any one point.
    """
    import pandas as pd

    groups = ["experiment", "regime", "metric"]
    pooled = comparisons.groupby([*groups, "iteration"])["z"].agg(
        lambda z: z.sum() / np.sqrt(len(z))
    )
    single_limit = norm.isf(FALSE_ALARM / 2 / max(1, len(comparisons)))
    pooled_limit = norm.isf(FALSE_ALARM / 2 / max(1, len(pooled)))
    rows = []
    for names, group in comparisons.groupby(groups, sort=False):
        single = group["z"].abs().max()
        together = pooled.loc[names].abs().max()
        holds = single <= single_limit and together <= pooled_limit
        rows.append(
            {
                **dict(zip(groups, names, strict=True)),
                "points": group["point"].nunique(),
                "comparisons": len(group),
                "largest_z": single,
                "limit": single_limit,
                "largest_pooled_z": together,
                "pooled_limit": pooled_limit,
                "verdict": "agrees" if holds else "DISAGREES",
                "source": "; ".join(group["source"].unique()),
            }
        )
    columns = [*groups, "points", "comparisons", "largest_z", "limit", "largest_pooled_z"]
    return pd.DataFrame(rows, columns=[*columns, "pooled_limit", "verdict", "source"])


def write(
    metrics: Sequence[str], *, study: Mapping[str, Any], comparisons: Path, verdicts: Path
) -> None:
    """Write the comparisons of simulation with theory, and the verdicts."""
    parsed = Study.model_validate(study)
    datasets = {Path(path).parent.name: read_dataset(path) for path in metrics}
    chains = (spec for experiment in parsed.experiments for spec in parsed.chains(experiment))
    found = compare_chains(chains, datasets)
    verdict = judge(found)
    with files.whole(comparisons) as partial:
        found.to_csv(partial, index=False, float_format="%.6g")
    with files.whole(verdicts) as partial:
        verdict.to_csv(partial, index=False, float_format="%.3f")
