"""The job of a closed-form chain: run the seeds that its file does not hold yet."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from collapse.artifacts import chain_file
from collapse.artifacts.files import DamagedFileError
from collapse.loop import closed_form
from collapse.study.chain_spec import ChainSpec


def run(
    path: Path, *, specification: Mapping[str, Any], version: int, seeds: Sequence[int]
) -> None:
    """Run the seeds of a chain that its file does not hold yet, and write them all.

    One thread, so that chains side by side don't compete and the sums of BLAS do not
    depend on the machine. What an earlier run of the same chain left is used again; a
    damaged or outdated file is not.
    """
    identity = {**specification, "version": version}
    found = _previous(path, identity)
    missing = [seed for seed in seeds if seed not in found]
    spec = ChainSpec.parse(specification)
    if missing:
        with threadpool_limits(1):
            new = closed_form.run_chain(spec, missing)
        for row, seed in enumerate(missing):
            found[seed] = {name: values[row] for name, values in new.items()}
    metrics = {name: np.stack([found[seed][name] for seed in seeds]) for name in found[seeds[0]]}
    chain_file.write_chain(path, metrics, seeds=seeds, iterations=spec.evaluated, identity=identity)


def _previous(path: Path, identity: Mapping[str, Any]) -> dict[int, dict[str, Any]]:
    """Return the metrics of each seed in an existing file of the very same chain."""
    try:
        metrics, seeds, written = chain_file.read_chain(path)
    except DamagedFileError:
        return {}
    # Compare as JSON has it: tuples and numpy scalars do not survive being written.
    if written != json.loads(json.dumps(identity)):
        return {}
    return {
        seed: {name: values[row] for name, values in metrics.items()}
        for row, seed in enumerate(seeds)
    }
