"""Running iterative chains without Snakemake: the steps, one after the other, in a directory."""

from pathlib import Path

from collapse import steps, training_sets
from collapse.branches import Branches
from collapse.seeding import REAL
from collapse.study import Study


class Loop:
    """The chains of an experiment of the Gaussian family, in the working directory."""

    def __init__(self, *, regime="replace", regimes=None, **experiment):
        self.regime = regime
        plan = {
            "family": "gaussian",
            "per_iteration": True,
            "regimes": [regime],
            "iterations": 3,
            "seeds": 1,
            "samples": 10,
            "grid": {"dimension": [2]},
            **experiment,
        }
        document = {"experiments": {"loop": plan}, "regimes": regimes or {}}
        self.study = Study.model_validate(document)
        self.branches = Branches(self.study, "loop")
        (self.point,) = self.study.cells["loop"]

    def chain(self, seed=0):
        return self.branches.branch(self.point, self.regime, seed)

    def step(self, t, stage, seed=0):
        return self.branches.step(self.point, REAL if t == 1 else self.regime, seed, t, stage)

    def assemble(self, t, seed=0):
        chain = self.chain(seed)
        training_sets.assemble(
            chain.training_set(t),
            self.step(t, "training", seed),
            chain.regime,
            data=None,
            previous=chain.training_set(t - 1) if t > 1 else None,
            records=[shard.record for shard in chain.shards(t - 1)] if t > 1 else [],
        )

    def train(self, t, seed=0):
        chain = self.chain(seed)
        steps.train(
            chain.model(t),
            chain.training(t),
            self.step(t, "training", seed),
            training_set=chain.training_set(t),
            data=None,
            scratch=Path(chain.model(t)).with_name(".training"),
        )

    def generate(self, t, seed=0):
        chain = self.chain(seed)
        for shard in dict.fromkeys([*chain.shards(t), *chain.evaluated_shards(t)]):
            steps.generate(
                shard.path,
                shard.record,
                self.step(t, "generation", seed),
                start=shard.start,
                stop=shard.stop,
                model=chain.model(t),
                data=None,
            )

    def evaluate(self, t, seed=0):
        chain = self.chain(seed)
        steps.evaluate(
            chain.metrics(t),
            self.step(t, "evaluation", seed),
            model=chain.model(t),
            data=None,
            training_set=chain.training_set(t),
            records=[shard.record for shard in chain.evaluated_shards(t)],
        )

    def iterate(self, t, seed=0):
        """All steps of an iteration."""
        for step in (self.assemble, self.train, self.generate, self.evaluate):
            step(t, seed)

    def run(self, seed=0):
        """All iterations of a chain."""
        for t in range(1, self.branches.plan.iterations + 1):
            self.iterate(t, seed)
