"""The functions with which the rules of iterations look up the inputs of a job."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

from snakemake.io import ancient

from collapse.artifacts.paths import Branch, Shard
from collapse.loop.inputs import Inputs, any_of
from collapse.seeding import REAL

#: The point, regime and iteration of a file that figures, pictures or tables show.
Place = tuple[str, str, int]


class StepInputs:
    """The functions that rules of iterations call for inputs, parameters and resources."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs
        self._branches = inputs.branches

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

    def step_at(self, stage: str) -> Callable[[Any], dict[str, Any]]:
        """Return the function that returns a step's key, with what matters up to its stage."""

        def step(wildcards: Any) -> dict[str, Any]:
            found = self._branches[wildcards.experiment].step(
                wildcards.point,
                wildcards.get("regime", REAL),
                int(wildcards.get("seed", 0)),
                int(wildcards.get("iteration", 1)),
                stage,
            )
            return found.as_dict()

        return step

    def versions_of(self, step: str) -> Callable[[Any], int]:
        """Return the function that returns the version of a family's step."""
        return lambda wildcards: self._inputs.family(wildcards).by_steps.version(step)

    def branch_of(self, wildcards: Any) -> Branch:
        """Return the chain that a step belongs to."""
        branches = self._branches[wildcards.experiment]
        return branches.branch(wildcards.point, wildcards.regime, int(wildcards.seed))

    def regime_of(self, wildcards: Any) -> dict[str, Any]:
        """Return the regime of a step as plain values, the same for all at iteration 1."""
        return self.branch_of(wildcards).regime.model_dump()

    def source_files(self, wildcards: Any) -> list[str]:
        """Return the local files that a study names as real data or pretrained models."""
        branches = self._branches[wildcards.experiment]
        return branches.family.by_steps.source_files(branches.parameters(wildcards.point))

    def _data(self, wildcards: Any, branch: Branch) -> dict[str, Any]:
        return {"data": branch.data} if self._inputs.family(wildcards).by_steps.has_dataset else {}

    def sources_of(self, wildcards: Any) -> dict[str, Any]:
        """Return the inputs of assemble: the previous training set and the newest shards."""
        branch, t = self.branch_of(wildcards), int(wildcards.iteration)
        if t == 1:
            return self._data(wildcards, branch)
        return {
            "previous": branch.training_set(t - 1),
            "shards": _shard_files(branch.shards(t - 1)),
            "records": [shard.record for shard in branch.shards(t - 1)],
        }

    def training_data_of(self, wildcards: Any) -> dict[str, Any]:
        """Return the inputs of train; the manifest names the older shards, which are no inputs."""
        branch, t = self.branch_of(wildcards), int(wildcards.iteration)
        newest = branch.shards(t - 1) if t > 1 else []
        return {
            "training_set": branch.training_set(t),
            "shards": _shard_files(newest),
            **self._data(wildcards, branch),
        }

    def model_of(self, wildcards: Any) -> dict[str, Any]:
        """Return the inputs of generate: the model, and the real data if the family has any."""
        branch, t = self.branch_of(wildcards), int(wildcards.iteration)
        return {"model": branch.model(t), **self._data(wildcards, branch)}

    def evaluated_of(self, wildcards: Any) -> dict[str, Any]:
        """Return the inputs of evaluate."""
        branch, t = self.branch_of(wildcards), int(wildcards.iteration)
        shards = branch.evaluated_shards(t)
        return {
            "model": branch.model(t),
            "training_set": branch.training_set(t),
            "shards": _shard_files(shards),
            "records": [shard.record for shard in shards],
            **self._data(wildcards, branch),
        }

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

    def folders_of(self, wildcards: Any) -> list[str]:
        """Return the folders of all iterations of a chain, for all its seeds."""
        iterations = range(1, self._branches[wildcards.experiment].experiment.iterations + 1)
        return [
            folder
            for branch in self._seeds_branches(wildcards)
            for t in iterations
            for folder in branch.folders(t)
        ]

    def done_with(self, wildcards: Any) -> list[str]:
        """Return the folders of an iteration if nothing needs its model once it is evaluated.

        A grid of mixtures has hundreds of last iterations, whose metrics are collected late.
        """
        experiment = self._branches[wildcards.experiment].experiment
        t = int(wildcards.iteration)
        if experiment.keep_models != "none" or t < experiment.iterations:
            return []
        return self.branch_of(wildcards).folders(t)

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


def _shard_files(shards: Sequence[Shard]) -> list[Any]:
    """Return shards as inputs whose age does not count, since their records have checksums.

    If a lost shard is generated again with the same contents, no job that reads it runs again.
    """
    return [ancient(shard.path) for shard in shards]
