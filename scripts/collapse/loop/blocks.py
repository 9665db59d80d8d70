"""How many steps a job holds: one, those of an iteration, or those of a whole chain.

The steps that one job holds are a block. It writes the same files under the same paths as jobs of
single steps do, but Snakemake knows of the block's record alone, so that it deletes no finished
step if a later one fails. A block that runs again goes on where it stopped.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from functools import cached_property

from collapse.artifacts import identity
from collapse.artifacts.identity import MadeOf
from collapse.artifacts.paths import Branch
from collapse.loop.branches import Branches
from collapse.loop.step_files import PlannedStep, StepFiles

#: Floating-point operations below which an iteration is short: at most an hour on one core.
SHORT = 1e14


def is_short(branches: Branches) -> bool:
    """Tell whether every iteration of an experiment takes less than `SHORT` operations."""
    by_steps, last = branches.family.by_steps, branches.experiment.iterations

    def operations(branch: Branch) -> float:
        each = by_steps.cost(branches.parameters(branch.points.later))
        regime, n = branch.regime, branch.samples
        pools = regime.pool_sizes(last, n)
        return max(
            regime.training_size(t, n, pool) * each.train_flops
            + regime.generated(t + 1, n) * each.generate_flops
            for t, pool in enumerate(pools, start=1)
        )

    first_seed = branches.experiment.seed_list[:1]
    return all(operations(branch) < SHORT for branch in branches.all(first_seed))


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
    return "iteration" if on_cluster else "step"


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
        first = branch.block(last)
        if first not in self._records:
            self._records[first] = self._record(branch, last, finish)
        return self._records[first]

    def _record(self, branch: Branch, last: int, finish: bool) -> str:
        found = branch.block(last)
        folder, name = os.path.split(found)
        pattern = re.compile(re.escape(name).replace(r"\.", r"-(\d+)\."))
        numbers = [1] if os.path.exists(found) else []
        if os.path.isdir(folder):
            numbers += [int(one[1]) for one in map(pattern.fullmatch, os.listdir(folder)) if one]
        if not numbers:
            return found
        lost = finish and any(map(self.missing, self.steps(branch, last)))
        return branch.block(last, max(numbers) + lost)

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
            "rule": "iterations",
            "steps": {step.record: self.files.identity(step) for step in steps},
        }

    def keeps_model(self, t: int) -> bool:
        """Tell whether the checkpoint of an iteration is kept once it is evaluated."""
        kept = self._experiment.keep_models
        return kept == "all" or (kept == "last" and t == self._experiment.iterations)

    def missing(self, step: PlannedStep) -> list[str]:
        """Return which outputs of a step are not there; a checkpoint may be if it is not kept."""
        outputs = self.files.outputs(step)
        if not self.keeps_model(step.t):
            outputs.pop("model", None)
        return [path for path in outputs.values() if not os.path.exists(path)]

    def is_done(self, step: PlannedStep) -> bool:
        """Tell whether the outputs of a step are there, and are what the study would make."""
        found = identity.recorded(step.record)
        same = found is not None and identity.identity(found) == self.files.identity(step)
        return same and not self.missing(step)

    def undone(self, steps: Iterable[PlannedStep]) -> list[PlannedStep]:
        """Return the steps that are not done."""
        return [step for step in steps if not self.is_done(step)]
