"""The metrics of a chain that ran by steps, collected as the file of a chain."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from collapse.artifacts import chain_file, identity, remedies
from collapse.families import regime_metrics
from collapse.regimes import Regime


def collect(
    output: str | Path,
    metrics: Sequence[str],
    *,
    seeds: Sequence[int],
    specification: Mapping[str, Any],
    evaluations: Mapping[str, str] | None = None,
) -> None:
    """Write the metrics of a chain for all its seeds, in the format of closed-form chains.

    Parameters
    ----------
    output : path
        The file to write.
    metrics : sequence of path
        The metrics of all evaluated iterations of the first seed, then of the next one.
    seeds : sequence of int
        The seeds, in this order.
    specification : mapping
        The `collapse.study.chain_spec.ChainSpec` as plain values.
    evaluations : mapping of str to str, or None
        The identities that the study expects of the records of all evaluations.
    """
    for record, expected in (evaluations or {}).items():
        identity.verify(record, expected)
    iterations = specification["evaluated"]
    of_regime = regime_metrics.at_first(Regime(**specification["regime"]), specification["samples"])
    found = [_read_metrics(path) for path in metrics]
    for place, one in enumerate(found):
        # All regimes share iteration 1, whose file knows of none; later ones may lack a value.
        t = iterations[place % len(iterations)]
        found[place] = {**(of_regime if t == 1 else dict.fromkeys(of_regime, np.nan)), **one}
    shape = (len(seeds), len(iterations))
    arrays = {name: np.array([one[name] for one in found]).reshape(shape) for name in found[0]}
    made_of = {**specification, "evaluations": identity.identity(evaluations or {})}
    chain_file.write_chain(output, arrays, seeds=seeds, iterations=iterations, identity=made_of)


def _read_metrics(path: str) -> dict[str, float]:
    with remedies.reading(path):
        return {
            str(name): float(value) for name, value in json.loads(Path(path).read_text()).items()
        }
