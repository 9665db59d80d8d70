"""The functions with which the rules of iterations look up the inputs of a job."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from snakemake.io import ancient

from collapse.artifacts import identity
from collapse.artifacts.identity import MadeOf
from collapse.artifacts.paths import Branch
from collapse.loop.inputs import Inputs, any_of
from collapse.loop.uncompared import Uncompared
from collapse.seeding import REAL

#: The point, regime and iteration of a file that figures, pictures or tables show.
Place = tuple[str, str, int]


class StepInputs:
    """The functions that rules of iterations call for inputs, parameters and resources.

    Whether a step runs again is decided by what it is made of (`made_of`), which Snakemake
    compares with that of the last run, and not by the age of its inputs. If a checkpoint that was
    not kept is trained again for a new temperature, nothing that was made of it is made again.

    Parameters
    ----------
    inputs : Inputs
        The functions that all rules share.
    finish : bool
        Whether steps may count as finished, unless the user forces them: in the process that
        plans a run.
    """

    def __init__(self, inputs: Inputs, *, finish: bool = False) -> None:
        self._inputs = inputs
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
            lineage = self._inputs.lineages[wildcards.experiment]
            if rule == "prepare":
                return lineage.prepare(wildcards.point)
            branch, t = self.branch_of(wildcards), int(wildcards.iteration)
            if rule == "generate":
                return lineage.generate(branch, t, int(wildcards.start), int(wildcards.stop))
            by_rule = {
                "assemble": lineage.assemble,
                "train": lineage.train,
                "evaluate": lineage.evaluate,
            }
            return by_rule[rule](branch, t)

        return made_of

    def real_samples_of(self, wildcards: Any) -> Uncompared:
        """Return how many real samples chains train on, of which prepare makes sure."""
        return Uncompared(self._branches[wildcards.experiment].real_samples(wildcards.point))

    def branch_of(self, wildcards: Any) -> Branch:
        """Return the chain that a step belongs to."""
        branches = self._branches[wildcards.experiment]
        return branches.branch(wildcards.point, wildcards.regime, int(wildcards.seed))

    def _data(self, wildcards: Any, branch: Branch) -> dict[str, Any]:
        return {"data": branch.data} if self._inputs.family(wildcards).by_steps.has_dataset else {}

    def _asked(
        self, rule: str, wildcards: Any, outputs: Sequence[str], files: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return what a job asks for.

        If its record, the last of its outputs, says that they are made of what the study says, the
        age of the inputs does not count. If moreover all outputs exist, the job is finished, and
        asks only for those inputs that exist.
        """
        forcing = self._inputs.forcing
        may = self._finish and not forcing.spreads and not forcing.any_of(*outputs)
        found = identity.recorded(outputs[-1]) if may else None
        current = found is not None and (
            identity.identity(found) == identity.identity(self.made_of(rule)(wildcards))
        )
        finished = current and all(map(os.path.exists, outputs))

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

    def _base(self, wildcards: Any, point: str) -> dict[str, Any]:
        folder = self._inputs.lineages[wildcards.experiment].base_folder(point)
        return {} if folder is None else {"base": folder}

    def base_of(self, wildcards: Any) -> dict[str, Any]:
        """Return the input of prepare: the base, if the workflow pretrains it."""
        branch = self._branches[wildcards.experiment].branch(wildcards.point, REAL, 0)
        files = self._base(wildcards, wildcards.point)
        return self._asked("prepare", wildcards, [branch.data, branch.dataset], files)

    def sources_of(self, wildcards: Any) -> dict[str, Any]:
        """Return the inputs of assemble: the previous training set and the newest shards."""
        branch, t = self.branch_of(wildcards), int(wildcards.iteration)
        if t == 1:
            files = self._data(wildcards, branch)
        else:
            shards = branch.shards(t - 1)
            files = {
                "previous": branch.training_set(t - 1),
                "shards": [shard.path for shard in shards],
                "records": [shard.record for shard in shards],
            }
        return self._asked("assemble", wildcards, [branch.training_set(t)], files)

    def training_data_of(self, wildcards: Any) -> dict[str, Any]:
        """Return the inputs of train; the manifest names the older shards, which are no inputs."""
        branch, t = self.branch_of(wildcards), int(wildcards.iteration)
        files = {
            "training_set": branch.training_set(t),
            "shards": [shard.path for shard in branch.shards(t - 1)] if t > 1 else [],
            **self._data(wildcards, branch),
            **self._base(wildcards, branch.points.training),
        }
        return self._asked("train", wildcards, [branch.model(t), branch.training(t)], files)

    def model_of(self, wildcards: Any) -> dict[str, Any]:
        """Return the inputs of generate: the model, and the real data if the family has any."""
        branch, t = self.branch_of(wildcards), int(wildcards.iteration)
        shard = branch.shard(t, int(wildcards.start), int(wildcards.stop))
        files = {
            "model": branch.model(t),
            "training": branch.training(t),
            **self._data(wildcards, branch),
        }
        return self._asked("generate", wildcards, [shard.path, shard.record], files)

    def evaluated_of(self, wildcards: Any) -> dict[str, Any]:
        """Return the inputs of evaluate."""
        branch, t = self.branch_of(wildcards), int(wildcards.iteration)
        shards = branch.evaluated_shards(t)
        files = {
            "model": branch.model(t),
            "training": branch.training(t),
            "training_set": branch.training_set(t),
            "shards": [shard.path for shard in shards],
            "records": [shard.record for shard in shards],
            **self._data(wildcards, branch),
        }
        outputs = [branch.metrics(t), branch.evaluation(t)]
        if self._inputs.family(wildcards).by_steps.pictures is not None:
            outputs.insert(0, branch.portrait(t))
        return self._asked("evaluate", wildcards, outputs, files)

    def _seeds_branches(self, wildcards: Any) -> list[Branch]:
        branches = self._branches[wildcards.experiment]
        return [
            branches.branch(wildcards.point, wildcards.regime, seed)
            for seed in branches.experiment.seed_list
        ]

    def metrics_of(self, wildcards: Any) -> list[str]:
        """Return the metrics of the evaluated iterations of a chain, ordered by seed first."""
        evaluated = self._branches[wildcards.experiment].experiment.evaluated
        return [branch.metrics(t) for branch in self._seeds_branches(wildcards) for t in evaluated]

    def evaluations_of(self, wildcards: Any) -> dict[str, str]:
        """Return the identities that the evaluations of a chain must have, by record."""
        place = (wildcards.experiment, wildcards.point, wildcards.regime)
        return self._inputs.evaluations(*place)

    def folders_of(self, wildcards: Any) -> Uncompared:
        """Return the folders of all iterations of a chain, for all its seeds."""
        iterations = range(1, self._branches[wildcards.experiment].experiment.iterations + 1)
        branches = self._seeds_branches(wildcards)
        return Uncompared(
            [folder for branch in branches for t in iterations for folder in branch.folders(t)]
        )

    def done_with(self, wildcards: Any) -> Uncompared:
        """Return the folders of an iteration if nothing needs its model once it is evaluated.

        A grid of mixtures has hundreds of last iterations, whose metrics are collected late.
        """
        experiment = self._branches[wildcards.experiment].experiment
        t = int(wildcards.iteration)
        if experiment.keep_models != "none" or t < experiment.iterations:
            return Uncompared([])
        return Uncompared(self.branch_of(wildcards).folders(t))

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

    def shown_places(self, wildcards: Any) -> list[Place]:
        """Return the places of the evaluated iterations of the first seed, which are shown."""
        return [place for place, _ in self._shown(wildcards, written=False)]

    def shown_trainings(self, wildcards: Any) -> list[str]:
        """Return the records of the trainings at `shown_places`."""
        return [branch.training(place[2]) for place, branch in self._shown(wildcards, False)]

    def shown_portraits(self, wildcards: Any) -> list[str]:
        """Return the portraits at `shown_places`."""
        return [branch.portrait(place[2]) for place, branch in self._shown(wildcards, False)]

    def written_places(self, wildcards: Any) -> list[Place]:
        """Return those of `shown_places` whose samples are evaluated."""
        return [place for place, _ in self._shown(wildcards, written=True)]

    def written_shards(self, wildcards: Any) -> list[str]:
        """Return the first shard at each of `written_places`."""
        shown = self._shown(wildcards, written=True)
        return [branch.evaluated_shards(place[2])[0].path for place, branch in shown]
