"""The job that runs all steps of an iteration, or of a chain, which are a block.

A step whose outputs are there, and are what the study would make, is not run again. Each step has
its own log, as if it were a job of its own.

``python -m collapse.loop.iterations PLACE MACHINE INDEX`` runs one step of a block, in a process of
its own.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from collapse import job
from collapse.artifacts import files as written
from collapse.artifacts import identity
from collapse.artifacts.paths import SCRATCH
from collapse.loop import run, steps
from collapse.loop.blocks import Blocks
from collapse.loop.branches import Branches
from collapse.loop.lineage import Lineage
from collapse.loop.step_files import PlannedStep, StepFiles
from collapse.training import launching


@dataclass(frozen=True)
class Place:
    """Where a block is: its chain, its last iteration, and what the jobs of its experiment hold."""

    experiment: str
    point: str
    regime: str
    seed: int
    iteration: int
    holds: str


@dataclass(frozen=True)
class Machine:
    """What a job may use: threads for an evaluation, and ranks on nodes for a training."""

    threads: int = 1
    ranks: int = 1
    nodes: int = 1


def run_block(
    record: str | Path,
    place: Place,
    machine: Machine,
    *,
    afresh: bool = False,
    apart: bool = False,
) -> None:
    """Run those steps of a block that are not done, and write the block's record.

    Parameters
    ----------
    record : path
        The record, which says what the steps' outputs are made of.
    place, machine : Place, Machine
        Which block it is, and what it may use.
    afresh : bool
        Whether to run all steps again.
    apart : bool
        Whether each step runs in a process of its own, so that it leaves no memory taken, on a
        GPU either. Steps that take hours do.

    Raises
    ------
    JobError
        If a step fails; the log of the step says why, too.
    """
    blocks = _blocks(place)
    branch = blocks.files.branches.branch(place.point, place.regime, place.seed)
    planned = blocks.steps(branch, place.iteration)
    undone = planned if afresh else blocks.undone(planned)
    wanted = {step.record for step in undone}
    # A checkpoint that was not kept is trained again if something is still to be made of it.
    needed = {step.branch.model(step.t) for step in undone if step.rule in ("generate", "evaluate")}
    for index, step in enumerate(planned):
        model = step.branch.model(step.t)
        lost = step.rule == "train" and model in needed and not Path(model).exists()
        if step.record in wanted or lost:
            if apart:
                _in_process(place, machine, index)
            else:
                perform(blocks.files, step, machine)
        followed = any(later.branch.model(later.t) == model for later in planned[index + 1 :])
        if not followed and not blocks.keeps_model(step.t):
            written.remove_directory(Path(model))
    made_of = blocks.made_of(branch, place.iteration)
    written.write_text(record, json.dumps({identity.KEY: made_of}, indent=1) + "\n")
    for other in Path(record).parent.glob("steps*.json"):  # see `Blocks.record`
        if other.name != Path(record).name:
            other.unlink()


def perform(files: StepFiles, step: PlannedStep, machine: Machine) -> None:
    """Run a step with a log of its own."""
    outputs = files.outputs(step)
    for path in outputs.values():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    with job.guarded(step.log, since=time.perf_counter()):
        steps.perform(
            files.made_of(step),
            files.inputs(step),
            outputs,
            scratch=Path(step.branch.model(step.t)).with_name(SCRATCH),
            **asdict(machine),
        )


def _in_process(place: Place, machine: Machine, index: int) -> None:
    """Run the step of a block with this index in a process of its own."""
    given = [json.dumps(asdict(place)), json.dumps(asdict(machine)), str(index)]
    launching.run_module("collapse.loop.iterations", given)


def _blocks(place: Place) -> Blocks:
    """Return the blocks of the experiment of a place, in the study that the run works on."""
    found = run.of_snapshot()
    branches = Branches(found.study, place.experiment)
    return Blocks(StepFiles(branches, Lineage(branches, found.sources)), place.holds)


def main(place: str, machine: str, index: str) -> None:
    """Run the step of a block with this index; the others are JSON objects."""
    where = Place(**json.loads(place))
    blocks = _blocks(where)
    branch = blocks.files.branches.branch(where.point, where.regime, where.seed)
    step = blocks.steps(branch, where.iteration)[int(index)]
    perform(blocks.files, step, Machine(**json.loads(machine)))


if __name__ == "__main__":
    main(*sys.argv[1:])
