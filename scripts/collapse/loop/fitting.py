"""Training the model of an iteration, in this process or in several ranks of one training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from collapse import families
from collapse.artifacts import files, manifest, training_sets
from collapse.artifacts.step import Step
from collapse.errors import JobError
from collapse.families.declarations import Parameters
from collapse.families.step_jobs import TrainJob


def ranks_of(resources: Mapping[str, Any]) -> dict[str, int]:
    """Return how many ranks a training has, one a GPU, and on how many nodes.

    On one node ``gpu`` says how many; on several, where SLURM must be told the number on each,
    ``gres``, say ``gpu:4`` or ``gpu:a100:4``.
    """
    nodes = resources.get("nodes", 1)
    if nodes == 1:
        return {"ranks": max(1, resources.get("gpu", 1)), "nodes": 1}
    kind, _, rest = resources.get("gres", "").partition(":")
    count = rest.rpartition(":")[2]
    if kind != "gpu" or not count.isdigit():
        raise JobError(
            f"nodes: {nodes}: found gres: {resources.get('gres')}, expected gpu:<number on each>"
        )
    return {"ranks": nodes * int(count), "nodes": nodes}


def parameters_of(step: Step) -> Parameters:
    """Return the parameters of a step's family, with defaults for those it may not depend on."""
    return families.load(step.family).parameters(**step.parameters)


def version_of(step: Step, rule: str) -> int:
    """Return the version of the numbers that the family of a step makes in a rule."""
    return families.load(step.family).by_steps.version(rule)


def fit(
    step: Step, *, training_set: str, data: str | None, scratch: str, model: str
) -> dict[str, Any]:
    """Train in this process, alone or as one of several ranks that are given the same."""
    family = families.load(step.family)
    described = manifest.read_training_set(training_set)
    content = [step.as_dict(), version_of(step, "train"), manifest.checksum(training_set)]
    job = TrainJob(
        step=step,
        parameters=parameters_of(step),
        data=Path(data or ""),
        selections=training_sets.selections(step, described),
        fingerprint=json.dumps(content),
        scratch=Path(scratch),
        model=Path(model),
    )
    return families.load_steps(family).train(job)


def fit_in_ranks(
    step: Step, given: Mapping[str, Any], scratch: Path, ranks: int, nodes: int
) -> dict[str, Any]:
    """Train in several processes; only here does a step travel as plain values."""
    from collapse.training import launching

    described, details = scratch / "job.json", scratch / "details.json"
    files.write_text(described, json.dumps({"step": step.as_dict(), **given}))
    launching.launch("collapse.loop.worker", [str(described), str(details)], ranks, nodes)
    return dict(json.loads(details.read_text(encoding="utf-8")))
