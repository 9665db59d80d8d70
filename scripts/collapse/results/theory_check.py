"""The tables of simulation beside theory, and of whether they agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collapse.artifacts import files
from collapse.results import theory_verdicts
from collapse.results.comparisons import NOT_PREDICTED, Compared, compare_chains
from collapse.results.dataset import read_dataset
from collapse.study import Study

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["experiment", "regime", "point", "metric", "iteration", "simulated", "standard_error"]
COLUMNS += ["expected", "z", "status", "source"]


def tabulate(compared: Sequence[Compared]) -> pd.DataFrame:
    """Return the comparisons as a table, a row for each point, regime, metric and iteration."""
    import pandas as pd

    frames = [
        pd.DataFrame(
            {
                "experiment": one.spec.experiment,
                "regime": one.spec.regime_name,
                "point": one.spec.point,
                "metric": one.metric,
                "iteration": _iterations(one),
                "simulated": one.comparison.simulated,
                "standard_error": one.comparison.standard_error,
                "expected": one.comparison.expected,
                "z": one.comparison.z,
                "status": one.comparison.status,
                "source": one.source,
            }
        )
        for one in compared
    ]
    if not frames:
        return pd.DataFrame(columns=COLUMNS)
    table = pd.concat(frames, ignore_index=True)
    return table[table["status"] != NOT_PREDICTED]


def _iterations(one: Compared) -> list[int]:
    evaluated = list(one.spec.evaluated)
    return evaluated if len(evaluated) == len(one.comparison.z) else [one.spec.iterations]


def write(
    metrics: Sequence[str], *, study: Mapping[str, Any], comparisons: Path, verdicts: Path
) -> None:
    """Write the comparisons of simulation with theory, and the verdicts."""
    parsed = Study.model_validate(study)
    datasets = {Path(path).parent.name: read_dataset(path) for path in metrics}
    chains = (spec for experiment in parsed.experiments for spec in parsed.chains(experiment))
    found = compare_chains(chains, datasets)
    verdict = theory_verdicts.judge(found)
    with files.whole(comparisons) as partial:
        tabulate(found).to_csv(partial, index=False, float_format="%.6g")
    with files.whole(verdicts) as partial:
        verdict.to_csv(partial, index=False, float_format="%.3f")
