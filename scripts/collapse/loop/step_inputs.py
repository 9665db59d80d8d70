"""The functions with which the rules of iterations look up the inputs of a job."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

from snakemake.io import ancient

from collapse.artifacts import identity
from collapse.artifacts.identity import MadeOf
from collapse.artifacts.paths import Branch
from collapse.loop import rule_functions
from collapse.loop.blocks import Blocks, is_short
from collapse.loop.inputs import Inputs, any_of
from collapse.loop.step_files import Files, PlannedStep, StepFiles
from collapse.loop.uncompared import Uncompared
from collapse.seeding import REAL

#: The point, regime and iteration of a file that figures, pictures or tables show.
Place = tuple[str, str, int]


@rule_functions.known
class StepInputs:
    """The functions that rules of iterations call for inputs, parameters and resources.

    Whether a step runs again is decided by what it is made of (`made_of`), which Snakemake
    compares with that of the last run, and not by the age of its inputs. Snakemake does not know
    what the last run was if a job of several steps wrote the outputs, or if its own folder is lost;
    so such a step is forced if its record says something else than the study. If a checkpoint was
    not kept and is trained again for a new temperature, nothing made of it is made again.

    Parameters
    ----------
    inputs : Inputs
        The functions that all rules share.
    finish : bool
        Whether steps may count as finished, unless the user forces them: in the process that
        plans a run.
    force : callable
        Forces the job of an output, while Snakemake builds the graph, unless Snakemake itself
        compares its parameters.
    """

    def __init__(
        self,
        inputs: Inputs,
        *,
        finish: bool = False,
        force: Callable[[str], None] = lambda path: None,
    ) -> None:
        self._inputs = inputs
        self._force = force
        self._branches = inputs.branches
        self._finish = finish

    @cached_property
    def unkept(self) -> str:
        """Regular expression of the experiment in the path of a checkpoint that is not kept."""
        return any_of(self._unkept())

    def _unkept(self) -> Iterator[str]:
        for name, branches in self._branches.items():
            experiment = branches.experiment
            if experiment.keep_models == "none":
                yield name
            elif experiment.keep_models == "last":
                yield rf"{name}(?=/.*/iter(?!{experiment.iterations}/)\d+/[^/]+$)"

    def training_gpus_of(self, wildcards: Any) -> int:
        """Return the number of GPUs of a training: ``gpus`` of the study, or 0."""
        experiment = self._branches[wildcards.experiment].experiment
        return self._inputs.gpus_of(wildcards) * experiment.gpus

    def made_of(self, rule: str) -> Callable[[Any], MadeOf]:
        """Return the function that returns what a step of a rule is made of."""

        def made_of(wildcards: Any) -> MadeOf:
            if rule == "base":
                return self._inputs.bases[wildcards.base]
            if rule == "prepare":
                return self._inputs.lineages[wildcards.experiment].prepare(wildcards.point)
            return self._files(wildcards).made_of(self.step_of(rule, wildcards))

        return rule_functions.known(made_of)

    def step_of(self, rule: str, wildcards: Any) -> PlannedStep:
        """Return the step that a job runs."""
        branch, t = self.branch_of(wildcards), int(wildcards.iteration)
        if rule != "generate":
            return PlannedStep(rule, branch, t)
        cut = int(wildcards.start), int(wildcards.stop)
        return PlannedStep(rule, branch, t, branch.shard(t, *cut, scored=bool(wildcards.kind)))

    def real_samples_of(self, wildcards: Any) -> Uncompared:
        """Return how many real samples chains train on, of which prepare makes sure."""
        return Uncompared(self._branches[wildcards.experiment].real_samples(wildcards.point))

    def branch_of(self, wildcards: Any) -> Branch:
        """Return the chain that a step belongs to."""
        branches = self._branches[wildcards.experiment]
        return branches.branch(wildcards.point, wildcards.regime, int(wildcards.seed))

    def _files(self, wildcards: Any) -> StepFiles:
        return self._inputs.blocks[wildcards.experiment].files

    def _asked(
        self, made_of: Callable[[], MadeOf], outputs: Sequence[str], files: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return what a job asks for.

        If its record, the last of its outputs, says that they are made of what the study says, the
        age of the inputs does not count. If moreover all outputs exist, the job is finished, and
        asks only for those inputs that exist.
        """
        forcing = self._inputs.forcing
        may = self._finish and not forcing.spreads and not forcing.any_of(*outputs)
        found = identity.recorded(outputs[-1]) if may else None
        current = found is not None and identity.identity(found) == identity.identity(made_of())
        finished = current and all(map(os.path.exists, outputs))
        if found is not None and not current:
            self._force(outputs[-1])

        def asked(path: str) -> Any:
            return ancient(path) if current else path

        inputs: dict[str, Any] = {}
        for name, paths in files.items():
            if isinstance(paths, str):
                if not finished or os.path.exists(paths):
                    inputs[name] = asked(paths)
            else:
                inputs[name] = [asked(one) for one in paths if not finished or os.path.exists(one)]
        return inputs

    def base_of(self, wildcards: Any) -> dict[str, Any]:
        """Return the input of prepare: the base, if the workflow pretrains it."""
        branch = self._branches[wildcards.experiment].branch(wildcards.point, REAL, 0)
        files = self._files(wildcards).base(wildcards.point)
        made_of = partial(self.made_of("prepare"), wildcards)
        return self._asked(made_of, [branch.data, branch.dataset], files)

    def inputs_of(self, rule: str) -> Callable[[Any], dict[str, Any]]:
        """Return the function that returns the inputs of a step of a rule."""

        def inputs_of(wildcards: Any) -> dict[str, Any]:
            files, step = self._files(wildcards), self.step_of(rule, wildcards)
            outputs = list(files.outputs(step).values())
            return self._asked(partial(files.made_of, step), outputs, files.inputs(step))

        return rule_functions.known(inputs_of)

    def _seeds_branches(self, wildcards: Any) -> list[Branch]:
        branches = self._branches[wildcards.experiment]
        return [
            branches.branch(wildcards.point, wildcards.regime, seed)
            for seed in branches.experiment.seed_list
        ]

    def evaluations_of(self, wildcards: Any) -> dict[str, str]:
        """Return the identities that the evaluations of a chain must have, by record."""
        place = (wildcards.experiment, wildcards.point, wildcards.regime)
        return self._inputs.evaluations(*place)

    def _evaluated(self, wildcards: Any) -> list[tuple[Branch, int]]:
        """Return the evaluated iterations of a chain, ordered by seed first."""
        evaluated = self._branches[wildcards.experiment].experiment.evaluated
        return [(branch, t) for branch in self._seeds_branches(wildcards) for t in evaluated]

    def metrics_of(self, wildcards: Any) -> Uncompared:
        """Return the paths of the metrics of the evaluated iterations, ordered by seed first."""
        return Uncompared([branch.metrics(t) for branch, t in self._evaluated(wildcards)])

    def collected_of(self, wildcards: Any) -> list[str]:
        """Return what stands for the metrics of a chain; see `_made_by`."""
        return self._made_by(wildcards, self._evaluated(wildcards), Branch.metrics)

    def _shown(self, wildcards: Any, written: bool) -> Iterator[tuple[Place, Branch]]:
        branches = self._branches.get(wildcards.experiment)
        if branches is None:
            return
        for branch in branches.all():
            if branch.seed != branches.experiment.seed_list[0]:
                continue
            for t in branches.experiment.evaluated:
                if not written or branch.evaluated_shards(t):
                    yield (branch.points.later, branch.regime_name, t), branch

    def _places(self, wildcards: Any, written: bool = False) -> list[tuple[Branch, int]]:
        return [(branch, place[2]) for place, branch in self._shown(wildcards, written)]

    def shown_places(self, wildcards: Any) -> list[Place]:
        """Return the places of the evaluated iterations of the first seed, which are shown."""
        return [place for place, _ in self._shown(wildcards, written=False)]

    def shown_records(self, wildcards: Any) -> Uncompared:
        """Return the records of the trainings at `shown_places`."""
        return Uncompared([branch.training(t) for branch, t in self._places(wildcards)])

    def shown_trainings(self, wildcards: Any) -> list[str]:
        """Return what stands for the records of `shown_records`; see `_made_by`."""
        return self._made_by(wildcards, self._places(wildcards), Branch.training)

    def shown_portraits(self, wildcards: Any) -> Uncompared:
        """Return the portraits at `shown_places`."""
        return Uncompared([branch.portrait(t) for branch, t in self._places(wildcards)])

    def shown_pictures(self, wildcards: Any) -> list[str]:
        """Return what stands for the portraits of `shown_portraits`; see `_made_by`."""
        return self._made_by(wildcards, self._places(wildcards), Branch.portrait)

    def written_places(self, wildcards: Any) -> list[Place]:
        """Return those of `shown_places` whose samples are evaluated."""
        return [place for place, _ in self._shown(wildcards, written=True)]

    def written_shards(self, wildcards: Any) -> Uncompared:
        """Return the first shard at each of `written_places`."""
        return Uncompared([_first_shard(*place) for place in self._places(wildcards, written=True)])

    def shown_shards(self, wildcards: Any) -> list[str]:
        """Return what stands for the shards of `written_shards`; see `_made_by`."""
        return self._made_by(wildcards, self._places(wildcards, written=True), _first_shard)

    # Jobs that hold several steps.

    def _made_by(
        self, wildcards: Any, at: Sequence[tuple[Branch, int]], path: Callable[[Branch, int], str]
    ) -> list[str]:
        """Return what a job asks for that reads a file of each of these iterations.

        They are the files, or the records of the jobs that hold the steps that write them. The
        record of a job is not asked for if jobs of single steps have run all of its steps.
        """
        blocks = self._inputs.blocks.get(wildcards.experiment)
        if blocks is None or blocks.holds == "step":  # in closed form there are no steps
            return [path(branch, t) for branch, t in at]
        asked: dict[str, bool] = {}
        for branch, t in at:
            record = blocks.record(branch, t, finish=self._finish)
            if record not in asked:
                there = os.path.exists(record)
                asked[record] = there or self._undone(blocks, branch, blocks.last(t))
        return [record for record, wanted in asked.items() if wanted]

    def _undone(self, blocks: Blocks, branch: Branch, last: int) -> bool:
        """Tell whether a step of a block is to run."""
        if not self._finish or self._inputs.forcing.spreads:
            return True
        return not blocks.is_done(branch, last)

    def before_block(self, wildcards: Any) -> dict[str, Any]:
        """Return the inputs of a job that holds several steps: its data, and the job before it."""
        blocks, branch = self._inputs.blocks[wildcards.experiment], self.branch_of(wildcards)
        last = int(wildcards.iteration)
        files: Files = {
            **blocks.files.base(branch.points.training),
            **blocks.files.data(branch),
        }
        first = blocks.first(last)
        if first > 1:
            before = self._made_by(wildcards, [(branch, first - 1)], Branch.metrics)
            files["before"] = before
        made_of = partial(blocks.made_of, branch, last)
        return self._asked(made_of, [self._record(wildcards)], files)

    def _record(self, wildcards: Any) -> str:
        blocks, branch = self._inputs.blocks[wildcards.experiment], self.branch_of(wildcards)
        return blocks.record(branch, int(wildcards.iteration), finish=self._finish)

    def block_identity(self, wildcards: Any) -> str:
        """Return the identity of what a job of several steps makes."""
        blocks = self._inputs.blocks[wildcards.experiment]
        made_of = blocks.made_of(self.branch_of(wildcards), int(wildcards.iteration))
        return identity.identity(made_of)

    def block_afresh(self, wildcards: Any) -> Uncompared:
        """Return whether a job runs all of its steps again, because the user forces it."""
        return Uncompared(
            self._inputs.forcing.any_of("iteration", "whole_chain", self._record(wildcards))
        )

    def apart(self, wildcards: Any) -> Uncompared:
        """Return whether each step runs in a process of its own, because it may take hours."""
        return Uncompared(not is_short(self._branches[wildcards.experiment]))


def _first_shard(branch: Branch, t: int) -> str:
    return branch.evaluated_shards(t)[0].path
