"""Training of the model of an iteration, in this process or in several ranks."""

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
    """Return the number of ranks of a training, one for each GPU, and the number of nodes.

    On one node, the resource ``gpu`` is the number of GPUs. On several nodes SLURM must be told
    how many GPUs each of them has, so ``gres`` (``gpu:4``, ``gpu:a100:4``) is read, and a
    `JobError` is raised without it.
    """
    nodes = resources.get("nodes", 1)
    if nodes == 1:
        return {"ranks": max(1, resources.get("gpu", 1)), "nodes": 1}
    kind, _, rest = resources.get("gres", "").partition(":")
    count = rest.rpartition(":")[2]
    if kind != "gpu" or not count.isdigit():
        raise JobError(
            f"nodes: {nodes}: found gres: {resources.get('gres')}, expected gpu:<number per node>"
        )
    return {"ranks": nodes * int(count), "nodes": nodes}


def parameters_of(step: Step) -> Parameters:
    """Return a step's parameters, with defaults for those that do not matter to the step."""
    return families.load(step.family).parameters(**step.parameters)


def version_of(step: Step, rule: str) -> int:
    """Return the version that the family of a step gives to the numbers of a rule."""
    return families.load(step.family).by_steps.version(rule)


def fit(
    step: Step, *, training_set: str, data: str | None, scratch: str, model: str
) -> dict[str, Any]:
    """Train in this process, and return details for the record of the training.

    If several ranks train together, each calls this function with the same arguments.
    """
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
    """Train in ``ranks`` processes on ``nodes`` nodes, and return the details of the first rank.

    The processes read the step and ``given``, the other arguments of `fit`, from a JSON file.
    """
    from collapse.training import launching

    described, details = scratch / "job.json", scratch / "details.json"
    files.write_text(described, json.dumps({"step": step.as_dict(), **given}))
    launching.launch("collapse.loop.worker", [str(described), str(details)], ranks, nodes)
    return dict(json.loads(details.read_text(encoding="utf-8")))
