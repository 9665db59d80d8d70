"""The job that runs all steps of an iteration, or of a chain, which are a block.

A step whose outputs are there, and are what the study would make, is not run again. Each step has
its own log, as if it were a job of its own.

``python -m collapse.loop.iteration PLACE MACHINE RULE SHARD`` runs one step in its own process.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from collapse import job
from collapse.artifacts import files as written
from collapse.artifacts import identity
from collapse.artifacts.paths import SCRATCH, Branch, Shard
from collapse.loop import records, run, steps
from collapse.loop.blocks import Blocks
from collapse.loop.branches import Branches
from collapse.loop.lineage import Lineage
from collapse.loop.step_files import PlannedStep, StepFiles


@dataclass(frozen=True)
class Place:
    """Where a block is: its chain, its last iteration, and what the job holds."""

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
    last = place.iteration
    planned = blocks.undone(branch, last, afresh=afresh)
    for index, step in enumerate(planned):
        if apart:
            _in_process(place, machine, step)
        else:
            perform(blocks.files, step, machine)
        _let_go(blocks, [step], planned[index + 1 :], afresh=afresh)
    # What a job left that was stopped goes, too.
    _let_go(blocks, blocks.steps(branch, last), [], afresh=afresh)
    made_of = blocks.made_of(branch, last)
    records.write(record, {identity.KEY: made_of})


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


def _let_go(
    blocks: Blocks, done: Sequence[PlannedStep], later: Sequence[PlannedStep], *, afresh: bool
) -> None:
    """Remove the checkpoints of steps that the study does not keep and nothing needs any more.

    Neither the steps that this job has yet to run, nor chains that start from them.
    """
    needed = set(_checkpoints(blocks, later))
    for model, (branch, t) in _checkpoints(blocks, done).items():
        if model in needed or blocks.keeps_model(t) or blocks.awaits(branch, t, afresh=afresh):
            continue
        written.remove_directory(Path(model))


def _checkpoints(blocks: Blocks, steps: Sequence[PlannedStep]) -> dict[str, tuple[Branch, int]]:
    """Return the chains and iterations of the checkpoints that steps read or write, by path."""
    return {
        step.branch.model(t): (step.branch, t)
        for step in steps
        for t in blocks.files.checkpoints(step)
    }


def _in_process(place: Place, machine: Machine, step: PlannedStep) -> None:
    """Run a step of a chain in a process of its own."""
    from collapse.training import launching  # which imports torch; few families need that

    where = {
        "point": step.branch.points.later,
        "regime": step.branch.regime_name,
        "iteration": step.t,
    }
    shard = step.shard._asdict() if step.shard else {}
    given = [asdict(place) | where, asdict(machine), step.rule, shard]
    launching.run_module("collapse.loop.iteration", [json.dumps(each) for each in given])


def _blocks(place: Place) -> Blocks:
    """Return the blocks of the experiment of a place, in the study that the run works on."""
    found = run.of_snapshot()
    branches = Branches(found.study, place.experiment)
    return Blocks(StepFiles(branches, Lineage(branches, found.sources)), place.holds)


def main(place: str, machine: str, rule: str, shard: str) -> None:
    """Run a step of an iteration; the arguments are JSON."""
    where = Place(**json.loads(place))
    files = _blocks(where).files
    branch = files.branches.branch(where.point, where.regime, where.seed)
    cut = Shard(**json.loads(shard)) if json.loads(shard) else None
    step = PlannedStep(json.loads(rule), branch, where.iteration, cut)
    perform(files, step, Machine(**json.loads(machine)))


if __name__ == "__main__":
    main(*sys.argv[1:])
