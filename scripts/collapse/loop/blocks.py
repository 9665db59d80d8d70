"""How many steps a job holds: one, those of an iteration, or those of a whole chain.

The steps that one job holds are a block. It writes the same files under the same paths as jobs of
single steps do, but Snakemake knows of the block's record alone, so that it deletes no finished
step if a later one fails. A block that runs again goes on where it stopped.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from collapse.artifacts import identity
from collapse.artifacts.identity import MadeOf
from collapse.artifacts.paths import Branch
from collapse.loop import records
from collapse.loop.branches import Branches
from collapse.loop.plan.machine import REFERENCE
from collapse.loop.step_files import Files, PlannedStep, StepFiles
from collapse.regimes import Regime

#: What jobs of several steps hold; their records have these names.
HOLDING = ("iteration", "chain")

#: Seconds of the reference core below which an iteration is short.
SHORT = 600.0


def candidates(regime: Regime) -> int:
    """Return how many samples a model draws, at least, for one that the regime keeps."""
    return 1 if regime.select is None else regime.select.least_candidates


def is_short(branches: Branches) -> bool:
    """Tell whether every iteration of an experiment takes less than `SHORT` on a core."""
    by_steps, last = branches.family.by_steps, branches.experiment.iterations

    def seconds(branch: Branch) -> float:
        workload = by_steps.workload(branches.parameters(branch.points.later))
        regime, n = branch.regime, branch.samples
        return max(
            REFERENCE.seconds(workload.train(trained, t))
            + REFERENCE.seconds(workload.generate(regime.generated(t + 1, n) * candidates(regime)))
            for t, trained in enumerate(regime.training_sizes(last, n), start=1)
        )

    first_seed = branches.experiment.seed_list[:1]
    return all(seconds(branch) < SHORT for branch in branches.all(first_seed))


def chosen(branches: Branches, configured: str | None, *, on_cluster: bool) -> str:
    """Return what a job of an experiment holds: ``step``, ``iteration`` or ``chain``.

    Parameters
    ----------
    branches : Branches
        The experiment, which may say it.
    configured : str or None
        What Snakemake's configuration says of all experiments that don't.
    on_cluster : bool
        Whether jobs are submitted to a cluster, where each waits in a queue.
    """
    said = branches.experiment.job_holds or configured
    if said is not None:
        return str(said)
    if is_short(branches):
        return "chain"
    # In a job of several steps, all GPUs of a training would wait while one generates.
    return "iteration" if on_cluster and branches.experiment.gpus == 1 else "step"


class Blocks:
    """The blocks of an experiment.

    Parameters
    ----------
    files : StepFiles
        What the experiment's steps read, write and are made of.
    holds : str
        What a job holds; see `chosen`.
    """

    def __init__(self, files: StepFiles, holds: str) -> None:
        self.files = files
        self.holds = holds
        self._experiment = files.branches.experiment
        self._records: dict[str, str] = {}

    def last(self, t: int) -> int:
        """Return the last iteration of the block that holds iteration t."""
        return self._experiment.iterations if t > 1 and self.holds == "chain" else t

    def first(self, last: int) -> int:
        """Return the first iteration of the block that ends with an iteration.

        Iteration 1 is a block of its own, because all regimes begin with it.
        """
        return 2 if last > 1 and self.holds == "chain" else last

    def record(self, branch: Branch, t: int, *, finish: bool = True) -> str:
        """Return the path of the record of the block that holds an iteration of a chain.

        If outputs of a finished block are lost, the record has another name than before, and so
        the block runs again if anything needs it.

        Parameters
        ----------
        branch, t : Branch, int
            The chain and the iteration.
        finish : bool
            Whether to look for lost outputs, as only the process does that plans a run.
        """
        last = self.last(t)
        first = branch.block(last, self.holds)
        if first not in self._records:
            found = records.found(first)
            lost = bool(found) and finish and bool(self.lost(branch, last))
            self._records[first] = records.numbered(first, max(found, default=1) + lost)
        return self._records[first]

    def steps(self, branch: Branch, last: int) -> list[PlannedStep]:
        """Return the steps of the block that ends with an iteration, in the order they run in."""
        if last == 1:
            return self._first_iterations[branch.points.training, branch.seed]
        iterations = range(self.first(last), last + 1)
        return [step for t in iterations for step in self.files.of_iteration(branch, t)]

    @cached_property
    def _first_iterations(self) -> Mapping[tuple[str, int], list[PlannedStep]]:
        """The steps of iteration 1, of all points and regimes that share a training."""
        found: dict[tuple[str, int], dict[str, PlannedStep]] = {}
        for branch in self.files.branches.all():
            steps = found.setdefault((branch.points.training, branch.seed), {})
            for step in self.files.of_iteration(branch, 1):
                steps.setdefault(step.record, step)
        return {key: list(steps.values()) for key, steps in found.items()}

    def made_of(self, branch: Branch, last: int) -> MadeOf:
        """Return what a block is made of: the identities of its steps, by record."""
        steps = self.steps(branch, last)
        return {
            "rule": "iteration",
            "steps": {step.record: self.files.identity(step) for step in steps},
        }

    def keeps_model(self, t: int) -> bool:
        """Tell whether the checkpoint of an iteration is kept once it is evaluated."""
        kept = self._experiment.keep_models
        return kept == "all" or (kept == "last" and t == self._experiment.iterations)

    def awaits(self, branch: Branch, t: int, *, afresh: bool = False) -> bool:
        """Tell whether a chain has yet to start a training from the model of an iteration.

        If jobs run ``afresh``, those of other chains may, whatever they have finished.
        """
        chains = [branch] if t > 1 else self._continuing(branch)
        if afresh and t == 1:
            return bool(chains)
        return any(
            step.rule == "train" and step.t == t + 1
            for chain in chains
            for step in self._pending(chain)
        )

    def _continuing(self, branch: Branch) -> list[Branch]:
        """Return the chains that start from the same model of iteration 1."""
        return self._starting_from[branch.points.training, branch.seed]

    @cached_property
    def _starting_from(self) -> Mapping[tuple[str, int], list[Branch]]:
        """The chains whose trainings start from the model before, by that of iteration 1."""
        found = defaultdict[tuple[str, int], list[Branch]](list)
        for branch in self.files.branches.all():
            if branch.regime.starts_from_previous:
                found[branch.points.training, branch.seed].append(branch)
        return found

    def _pending(self, branch: Branch) -> list[PlannedStep]:
        """Return the steps that must run for all results of a chain from iteration 2 on."""
        if not branch.regime.starts_from_previous:
            return []
        own = [
            step
            for t in range(2, self._experiment.iterations + 1)
            for step in self.files.of_iteration(branch, t)
        ]
        finished: dict[str, str] = {}
        for last in sorted({self.last(t) for t in range(2, self._experiment.iterations + 1)}):
            finished |= self._finished(branch, last)
        wanted = {step.record for step in own if not self._is_done(step, finished)}
        return self._needed([*self.files.of_iteration(branch, 1), *own], wanted)

    def _wanted_of_first(self, branch: Branch) -> set[str]:
        """Return the records of the steps of iteration 1 that chains need to run again.

        Chains start from the model of iteration 1, which is not made in their own jobs: two of
        them would do so at once.
        """
        if self.keeps_model(1):
            return set()
        return {
            step.record
            for chain in self._continuing(branch)
            for step in self._pending(chain)
            if step.t == 1
        }

    def undone(self, branch: Branch, last: int, *, afresh: bool = False) -> list[PlannedStep]:
        """Return the steps that must run for the results of a block, in the order they run in.

        A step runs if it has not run before, or if its outputs are lost or are not what the study
        would make and a result, or another step that runs, needs them. So a shard that was deleted
        once it was trained on is not made again for nothing, as with jobs of single steps. Steps of
        earlier blocks are among them if their files are lost. ``afresh`` takes none of the block's
        own steps for done.
        """
        own = self.steps(branch, last)
        before = [
            step for t in range(1, self.first(last)) for step in self.files.of_iteration(branch, t)
        ]
        finished = {} if afresh else self._finished(branch, last)
        wanted = {step.record for step in own if afresh or not self._is_done(step, finished)}
        if last == 1:
            wanted |= self._wanted_of_first(branch)
        return self._needed([*before, *own], wanted)

    def _needed(self, planned: Sequence[PlannedStep], wanted: set[str]) -> list[PlannedStep]:
        """Return those steps whose records are wanted, and those that make what they lack."""
        makers = {path: step for step in planned for path in self.files.outputs(step).values()}
        found = []
        for step in reversed(planned):
            if step.record not in wanted:
                continue
            found.append(step)
            for path in _paths(self.files.inputs(step)):
                maker = makers.get(path)
                if maker is not None and not (os.path.exists(path) and self._is_current(maker)):
                    wanted.add(maker.record)
        return found[::-1]

    def is_done(self, branch: Branch, last: int) -> bool:
        """Tell whether all steps of a block have run, and their results are there."""
        finished = self._finished(branch, last)
        done = all(self._is_done(step, finished) for step in self.steps(branch, last))
        return done and not (last == 1 and self._wanted_of_first(branch))

    def lost(self, branch: Branch, last: int) -> list[str]:
        """Return the results of a finished block that are not there any more, or needed again."""
        results = [path for step in self.steps(branch, last) for path in self._results(step)]
        lost = [path for path in results if not os.path.exists(path)]
        return lost + sorted(self._wanted_of_first(branch) if last == 1 else ())

    def _results(self, step: PlannedStep) -> list[str]:
        """Return those outputs of a step that datasets, tables, figures or pictures show."""
        outputs = list(self.files.outputs(step).values())
        if step.rule == "evaluate":
            return outputs
        shown = step.branch.seed == self._experiment.seed_list[0]
        if not shown or step.t not in self._experiment.evaluated:
            return []
        if step.rule == "train":
            return outputs[-1:]  # with its learning curve
        texts = self.files.branches.family.by_steps.writes_text
        evaluated = step.branch.evaluated_shards(step.t) if texts else []
        return outputs if step.shard in evaluated[:1] else []

    def _is_current(self, step: PlannedStep) -> bool:
        found = identity.recorded(step.record)
        return found is not None and identity.identity(found) == self.files.identity(step)

    def _is_done(self, step: PlannedStep, finished: Mapping[str, str]) -> bool:
        """Tell whether a step has run and its results are there."""
        ran = self._is_current(step) or finished.get(step.record) == self.files.identity(step)
        return ran and all(map(os.path.exists, self._results(step)))

    def _finished(self, branch: Branch, last: int) -> dict[str, str]:
        """Return the identities of the steps that jobs of this chain have finished, by record."""
        found: dict[str, str] = {}
        for t in range(self.first(last), last + 1):
            for path in records.found(branch.block(t, self.holds), HOLDING).values():
                found |= (identity.recorded(path) or {}).get("steps", {})
        return found


def _paths(files: Files) -> Iterator[str]:
    for named in files.values():
        yield from [named] if isinstance(named, str) else named
