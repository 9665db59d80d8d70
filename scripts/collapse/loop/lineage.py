"""What each step of an experiment is made of, as its study says, before anything has run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from collapse.artifacts import identity, paths
from collapse.artifacts.identity import MadeOf
from collapse.artifacts.paths import Branch, Shard
from collapse.loop.branches import ANY_REGIME, Branches
from collapse.seeding import REAL


class Lineage:
    """What the artifacts of an experiment that runs by steps are made of.

    Everything that an artifact depends on is in the identity of the artifact: the parameters that
    matter to its step, the versions of this step and of all before it, and the contents of the
    files that the study names. So a changed parameter or version, or another content of a file,
    changes the identities of all that follows from it, and of nothing else.

    Parameters
    ----------
    branches : Branches
        The chains of the experiment.
    sources : mapping of str to str
        The checksums of the files and folders that the study names; see
        `collapse.artifacts.sources`.
    """

    def __init__(self, branches: Branches, sources: Mapping[str, str]) -> None:
        self._branches = branches
        self._sources = sources
        self._has_dataset = branches.family.by_steps.has_dataset
        self._known: dict[str, str] = {}

    def base(self, point: str) -> MadeOf | None:
        """Return what the base of a point is made of; None if the workflow pretrains none."""
        step = self._branches.base(point)
        return None if step is None else self._made_of("base", step.as_dict(), {})

    def base_folder(self, point: str) -> str | None:
        """Return the folder of the base of a point, which its identity names."""
        made_of = self.base(point)
        return None if made_of is None else paths.base_folder(identity.identity(made_of))

    def prepare(self, point: str) -> MadeOf:
        """Return what the real data of a point is made of."""
        step = self._branches.step(point, REAL, 0, 1, "data").as_dict()
        base = self.base(point)
        inputs = {}
        if base is not None:
            inputs = {f"{self.base_folder(point)}/{paths.BASE}": identity.identity(base)}
        return self._made_of("prepare", step, inputs, sources=self._named(point))

    def assemble(self, branch: Branch, t: int) -> MadeOf:
        """Return what the training set of an iteration is made of."""
        if t == 1:
            inputs = self._data(branch)
            regime = ANY_REGIME
        else:
            self._follow(branch, t - 1)
            inputs = {branch.training_set(t - 1): self._training_set(branch, t - 1)}
            for shard in branch.shards(t - 1):
                inputs[shard.record] = self._shard(branch, t - 1, shard)
            regime = branch.regime
        step = self._step(branch, t, "training")
        # A field that later versions add to regimes must not change the identity of what exists.
        return self._made_of(
            "assemble", step, inputs, settings=regime.model_dump(exclude_defaults=True)
        )

    def train(self, branch: Branch, t: int) -> MadeOf:
        """Return what the model of an iteration is made of."""
        self._follow(branch, t)
        inputs = {branch.training_set(t): self._training_set(branch, t), **self._data(branch)}
        if t > 1 and branch.regime.starts_from_previous:
            inputs[branch.training(t - 1)] = self._training(branch, t - 1)
        # The pretrained model, from which a training may start, is among the sources.
        sources = self._named(branch.points.training)
        return self._made_of("train", self._step(branch, t, "training"), inputs, sources=sources)

    def generate(self, branch: Branch, t: int, shard: Shard) -> MadeOf:
        """Return what a shard is made of."""
        inputs = {branch.training(t): self._training(branch, t), **self._data(branch)}
        settings: dict[str, Any] = {"start": shard.start, "stop": shard.stop}
        if shard.scored:
            settings |= branch.regime.scoring
        step = self._step(branch, t, "generation")
        return self._made_of("generate", step, inputs, settings=settings)

    def evaluate(self, branch: Branch, t: int) -> MadeOf:
        """Return what the metrics of an iteration are made of."""
        inputs = {
            branch.training_set(t): self._training_set(branch, t),
            branch.training(t): self._training(branch, t),
            **{shard.record: self._shard(branch, t, shard) for shard in branch.evaluated_shards(t)},
            **self._data(branch),
        }
        return self._made_of("evaluate", self._step(branch, t, "evaluation"), inputs)

    def collect(self, branches: Sequence[Branch], iterations: Sequence[int]) -> dict[str, str]:
        """Return the identities of the evaluations of chains at these iterations, by record."""
        return {
            branch.evaluation(t): self.identity_of(branch.evaluation(t), self.evaluate, branch, t)
            for branch in branches
            for t in iterations
        }

    def _made_of(
        self, rule: str, step: Mapping[str, Any], inputs: Mapping[str, str], **others: Any
    ) -> MadeOf:
        version = self._branches.family.by_steps.version(rule)
        return {"rule": rule, "version": version, "step": step, "inputs": inputs, **others}

    def _named(self, point: str) -> dict[str, str]:
        """Return the checksums of the files and folders that a point names."""
        by_steps = self._branches.family.by_steps
        named = by_steps.sources(self._branches.parameters(point))
        return {path: self._sources[path] for path in named if path in self._sources}

    def _step(self, branch: Branch, t: int, stage: str) -> dict[str, Any]:
        """Return the key of a step, which at iteration 1 is the same for all regimes."""
        point = getattr(branch.points, stage) if t == 1 else branch.points.later
        regime = REAL if t == 1 else branch.regime_name
        return self._branches.step(point, regime, branch.seed, t, stage).as_dict()

    def _follow(self, branch: Branch, t: int) -> None:
        """Find the identities up to a training set in ascending order, without recursion."""
        models = branch.regime.starts_from_previous  # each is made of the one before
        first = t
        record = branch.training if models else branch.training_set
        while first > 1 and record(first - 1) not in self._known:
            first -= 1
        for earlier in range(first, t):
            self._training_set(branch, earlier)
            if models:
                self._training(branch, earlier)

    def identity_of(self, record: str, made_of: Callable[..., MadeOf], *given: Any) -> str:
        """Return the identity of what ``made_of(*given)`` says, found once for each record."""
        if record not in self._known:
            self._known[record] = identity.identity(made_of(*given))
        return self._known[record]

    def _data(self, branch: Branch) -> dict[str, str]:
        if not self._has_dataset:
            return {}
        record = branch.dataset
        return {record: self.identity_of(record, self.prepare, branch.points.data)}

    def _training_set(self, branch: Branch, t: int) -> str:
        return self.identity_of(branch.training_set(t), self.assemble, branch, t)

    def _training(self, branch: Branch, t: int) -> str:
        return self.identity_of(branch.training(t), self.train, branch, t)

    def _shard(self, branch: Branch, t: int, shard: Shard) -> str:
        return self.identity_of(shard.record, self.generate, branch, t, shard)
