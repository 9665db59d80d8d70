"""The steps of an experiment that runs by steps: what each reads, writes and is made of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from collapse.artifacts.identity import MadeOf
from collapse.artifacts.paths import Branch, Shard
from collapse.loop.branches import Branches
from collapse.loop.lineage import Lineage

#: The files that a step reads, a path or a list of paths by name.
Files = dict[str, Any]


class PlannedStep(NamedTuple):
    """A step of an iteration of a chain: the name of its rule and, if it writes one, its shard."""

    rule: str
    branch: Branch
    t: int
    shard: Shard | None = None

    @property
    def record(self) -> str:
        """Path of the record that says what the step's outputs are made of."""
        return list(self.outputs(False).values())[-1]

    @property
    def log(self) -> str:
        """Path of the step's log."""
        folder = Path(self.record).parent.relative_to("results")
        if self.shard is None:
            return f"logs/{self.rule}/{folder}.log"
        shard = self.shard
        return f"logs/{self.rule}/{folder.parent}{shard.kind}-{shard.start}-{shard.stop}.log"

    def outputs(self, pictured: bool) -> dict[str, str]:
        """Return the paths of the outputs by name; the last is the record of what they are made of.

        Parameters
        ----------
        pictured : bool
            Whether the family draws pictures, for which an evaluation writes a portrait.
        """
        branch, t = self.branch, self.t
        if self.rule == "assemble":
            return {"training_set": branch.training_set(t)}
        if self.rule == "train":
            return {"model": branch.model(t), "record": branch.training(t)}
        if self.shard is not None:
            return {"shard": self.shard.path, "record": self.shard.record}
        portrait = {"portrait": branch.portrait(t)} if pictured else {}
        return {**portrait, "metrics": branch.metrics(t), "record": branch.evaluation(t)}


class StepFiles:
    """What the steps of one experiment read, write and are made of.

    Parameters
    ----------
    branches : Branches
        The chains of the experiment.
    lineage : Lineage
        What its artifacts are made of.
    """

    def __init__(self, branches: Branches, lineage: Lineage) -> None:
        self.branches = branches
        self.lineage = lineage
        self.pictured = branches.family.by_steps.pictures is not None
        self._has_dataset = branches.family.by_steps.has_dataset

    def of_iteration(self, branch: Branch, t: int) -> Iterator[PlannedStep]:
        """Yield the steps of an iteration that the study needs, in an order in which they run."""
        experiment = self.branches.experiment
        evaluated = t in experiment.evaluated
        yield PlannedStep("assemble", branch, t)
        yield PlannedStep("train", branch, t)
        shards = branch.shards(t) if t < experiment.iterations else []
        shards = shards + (branch.evaluated_shards(t) if evaluated else [])
        for shard in dict.fromkeys(shards):
            yield PlannedStep("generate", branch, t, shard)
        if evaluated:
            yield PlannedStep("evaluate", branch, t)

    def outputs(self, step: PlannedStep) -> dict[str, str]:
        """Return the paths of the outputs of a step by name; the last is their record."""
        return step.outputs(self.pictured)

    def inputs(self, step: PlannedStep) -> Files:
        """Return the files that a step reads, by the names under which its rule asks for them."""
        branch, t = step.branch, step.t
        data = self.data(branch)
        if step.rule == "assemble":
            if t == 1:
                return data
            shards = branch.shards(t - 1)
            return {
                "previous": branch.training_set(t - 1),
                "shards": [shard.path for shard in shards],
                "records": [shard.record for shard in shards],
            }
        if step.rule == "train":  # the manifest names the older shards, which are no inputs
            return {
                "training_set": branch.training_set(t),
                "shards": [shard.path for shard in branch.shards(t - 1)] if t > 1 else [],
                **data,
                **self.base(branch.points.training),
                **self._previous(branch, t),
            }
        model = {"model": branch.model(t), "training": branch.training(t)}
        if step.rule == "generate":
            return {**model, **data}
        shards = branch.evaluated_shards(t)
        return {
            **model,
            "training_set": branch.training_set(t),
            "shards": [shard.path for shard in shards],
            "records": [shard.record for shard in shards],
            **data,
        }

    def _previous(self, branch: Branch, t: int) -> dict[str, str]:
        """Return the checkpoint from which a training starts, if it is that before, by name."""
        if t == 1 or not branch.regime.starts_from_previous:
            return {}
        return {"previous": branch.model(t - 1), "previous_training": branch.training(t - 1)}

    def checkpoints(self, step: PlannedStep) -> list[int]:
        """Return the iterations of the checkpoints that a step reads or writes."""
        if step.rule == "assemble":
            return []
        from_previous = step.rule == "train" and self._previous(step.branch, step.t)
        return [step.t - 1, step.t] if from_previous else [step.t]

    def data(self, branch: Branch) -> dict[str, str]:
        """Return the folder of the real data of a chain, if the family has any, by name."""
        return {"data": branch.data} if self._has_dataset else {}

    def base(self, point: str) -> dict[str, str]:
        """Return the folder of the base of a point, if the workflow pretrains one, by name."""
        folder = self.lineage.base_folder(point)
        return {} if folder is None else {"base": folder}

    def made_of(self, step: PlannedStep) -> MadeOf:
        """Return what the outputs of a step are made of."""
        if step.shard is not None:
            return self.lineage.generate(step.branch, step.t, step.shard)
        by_rule = {
            "assemble": self.lineage.assemble,
            "train": self.lineage.train,
            "evaluate": self.lineage.evaluate,
        }
        return by_rule[step.rule](step.branch, step.t)

    def identity(self, step: PlannedStep) -> str:
        """Return the identity of the outputs of a step."""
        return self.lineage.identity_of(step.record, self.made_of, step)
