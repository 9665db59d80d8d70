"""The job of closed-form chains, which runs the seeds that are not in their files yet."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from collapse import job
from collapse.artifacts import chain_file
from collapse.artifacts.files import DamagedFileError
from collapse.loop import closed_form
from collapse.study.chain_spec import ChainSpec


def run_all(chains: Sequence[Mapping[str, Any]]) -> None:
    """Run several chains one after the other; if one fails, the others run nevertheless.

    Each has its own log, as if it were a job of its own. ``chains`` are the arguments of `run`. A
    failure ends the process after the last chain, with one line for each that failed.
    """
    failures = []
    for chain in chains:
        path = Path(chain["path"])
        log = Path("logs", "chain", *path.parts[1:]).with_suffix(".log")
        try:
            with job.guarded(log, since=time.perf_counter()):
                run(**{**chain, "path": path})
        except SystemExit as failed:
            failures.append(str(failed))
    if failures:
        sys.exit("\n".join(failures))


def run(
    path: Path,
    *,
    specification: Mapping[str, Any],
    version: int,
    seeds: Sequence[int],
    afresh: bool = False,
) -> None:
    """Add the metrics of a chain for those of its seeds that are not in its file yet.

    The file keeps all seeds that it ever had. With ``afresh``, all of them run again. A file that
    is damaged, or of another specification or version, is not used; one that can't be read now
    ends the job. The chain runs in one thread, so that chains that run at the same time don't
    compete for cores, and sums in BLAS don't depend on the machine.
    """
    identity = {**specification, "version": version}
    found = _previous(path, identity)
    kept = list(dict.fromkeys([*found, *seeds]))
    missing = [seed for seed in kept if afresh or seed not in found]
    if not missing:
        return
    spec = ChainSpec.parse(specification)
    with threadpool_limits(1):
        new = closed_form.run_chain(spec, missing)
    for row, seed in enumerate(missing):
        found[seed] = {name: values[row] for name, values in new.items()}
    metrics = {name: np.stack([found[seed][name] for seed in kept]) for name in found[kept[0]]}
    chain_file.write_chain(
        path,
        metrics,
        seeds=kept,
        iterations=spec.evaluated,
        identity=identity,
        models=spec.regime.models,
    )


def _previous(path: Path, identity: Mapping[str, Any]) -> dict[int, dict[str, Any]]:
    """Return the metrics of each seed in the existing file, if its identity is the same."""
    try:
        metrics, seeds, written = chain_file.read_chain(path)
    except DamagedFileError:
        return {}
    if not chain_file.is_of(written, identity):
        return {}
    return {
        seed: {name: values[row] for name, values in metrics.items()}
        for row, seed in enumerate(seeds)
    }
