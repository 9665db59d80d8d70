"""Training of the model of an iteration, in this process or in several ranks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from collapse import families
from collapse.artifacts import files, manifest, remedies, training_sets
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


class Started(NamedTuple):
    """A checkpoint from which a training starts, and the checksum of its files."""

    path: str
    sha256: str


def started_from(model: str | None) -> Started | None:
    """Return the checkpoint of a folder, from which a training starts; None stays None.

    Raises
    ------
    DamagedFileError
        If the folder holds no checkpoint.
    """
    if model is None:
        return None
    # Snakemake leaves a hidden file in folders that are outputs.
    found = (path for path in Path(model).rglob("*") if path.is_file())
    written = sorted(path for path in found if not path.name.startswith("."))
    if not written:
        raise remedies.damaged(model, "the checkpoint of the iteration before is missing")
    with remedies.reading(model, "the checkpoint can't be read"):
        return Started(model, manifest.joint_checksum(written))


@dataclass(frozen=True)
class Fitting:
    """What a training is given: its step, and the files that it reads and writes."""

    step: Step
    training_set: str
    data: str | None
    scratch: str
    model: str
    started: Started | None = None

    def run(self) -> dict[str, Any]:
        """Train in this process, and return details for the record of the training.

        If several ranks train together, each of them runs the same fitting.
        """
        step, family = self.step, families.load(self.step.family)
        described = manifest.read_training_set(self.training_set)
        content = [step.as_dict(), version_of(step, "train"), manifest.checksum(self.training_set)]
        if self.started is not None:
            content.append(self.started.sha256)
        job = TrainJob(
            step=step,
            parameters=parameters_of(step),
            data=Path(self.data or ""),
            selections=training_sets.selections(step, described),
            fingerprint=json.dumps(content),
            scratch=Path(self.scratch),
            model=Path(self.model),
            previous=None if self.started is None else Path(self.started.path),
        )
        details = families.load_steps(family).train(job)
        return details if self.started is None else {**details, "previous": self.started.sha256}

    def run_in_ranks(self, ranks: int, nodes: int) -> dict[str, Any]:
        """Train in ``ranks`` processes on ``nodes`` nodes; return the details of the first rank.

        The processes read the fitting from a JSON file: here, and only here, a step travels as
        plain values.
        """
        from collapse.training import launching

        described, details = (Path(self.scratch, name) for name in ("job.json", "details.json"))
        files.write_text(described, json.dumps(asdict(self)))
        launching.launch("collapse.loop.worker", [str(described), str(details)], ranks, nodes)
        return dict(json.loads(details.read_text(encoding="utf-8")))
