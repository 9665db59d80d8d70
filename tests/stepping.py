"""Run chains by steps without Snakemake: one step after the other, in the working directory."""

import os
from pathlib import Path

from collapse import families
from collapse.artifacts import training_sets
from collapse.loop import base, collect, iteration, prepare, run, steps
from collapse.loop.branches import Branches
from collapse.loop.lineage import Lineage
from collapse.seeding import REAL
from collapse.study import Study


class Loop:
    """The chains of an experiment at one point, in the working directory."""

    def __init__(self, *, regime="replace", regimes=None, family="gaussian", **experiment):
        self.regime = regime
        plan = {
            "family": family,
            "regimes": [regime],
            "iterations": 3,
            "seeds": 1,
            "samples": 10,
            **experiment,
        }
        if family == "gaussian":
            plan = {"per_iteration": True, "grid": {"dimension": [2]}, **plan}
        document = {"experiments": {"loop": plan}, "regimes": regimes or {}}
        self.study = Study.model_validate(document)
        self.branches = Branches(self.study, "loop")
        (self.point,) = self.study.cells["loop"]
        declared = families.load(family).by_steps
        self.data = self.chain().data if declared.has_dataset else None
        self.pictured = declared.pictures is not None

    def chain(self, seed=0):
        return self.branches.branch(self.point, self.regime, seed)

    def step(self, t, stage, seed=0):
        points = self.chain().points
        point, regime = (getattr(points, stage), REAL) if t == 1 else (points.later, self.regime)
        return self.branches.step(point, regime, seed, t, stage)

    @property
    def base(self):
        return Lineage(self.branches, {}).base_folder(self.point)

    def pretrain(self):
        """Pretrain the base, if the family needs one and it is not there yet."""
        if self.base is not None and not Path(self.base).exists():
            key = self.branches.base(self.point)
            base.pretrain(self.base, key, scratch=Path(self.base).with_name(".training"))

    def prepare(self):
        self.pretrain()
        prepare.prepare(self.data, self.step(1, "data"), base=self.base)

    def assemble(self, t, seed=0, **options):
        chain = self.chain(seed)
        training_sets.assemble(
            chain.training_set(t),
            self.step(t, "training", seed),
            self.study.regime_table[self.regime],
            data=self.data if t == 1 else None,
            previous=chain.training_set(t - 1) if t > 1 else None,
            records=[shard.record for shard in chain.shards(t - 1)] if t > 1 else [],
            **options,
        )

    def train(self, t, seed=0, **options):
        chain = self.chain(seed)
        steps.train(
            chain.model(t),
            chain.training(t),
            self.step(t, "training", seed),
            training_set=chain.training_set(t),
            data=self.data,
            previous=chain.model(t - 1) if t > 1 and chain.regime.starts_from_previous else None,
            scratch=Path(chain.model(t)).with_name(".training"),
            **options,
        )

    def generate(self, t, seed=0, **options):
        chain = self.chain(seed)
        for shard in dict.fromkeys([*chain.shards(t), *chain.evaluated_shards(t)]):
            steps.generate(
                shard.path,
                shard.record,
                self.step(t, "generation", seed),
                start=shard.start,
                stop=shard.stop,
                model=chain.model(t),
                data=self.data,
                **(chain.regime.scoring if shard.scored else {}),
                **options,
            )

    def evaluate(self, t, seed=0, **options):
        chain = self.chain(seed)
        steps.evaluate(
            chain.metrics(t),
            chain.evaluation(t),
            self.step(t, "evaluation", seed),
            model=chain.model(t),
            data=self.data,
            training_set=chain.training_set(t),
            records=[shard.record for shard in chain.evaluated_shards(t)],
            portrait=chain.portrait(t) if self.pictured else None,
            **options,
        )

    def collect(self, evaluations=None):
        """Write the metrics of all seeds as the file of a chain."""
        chains = [self.chain(seed) for seed in self.branches.experiment.seed_list]
        specification = self.study.chain("loop", self.point, self.regime).as_dict()
        at = [(chain, t) for chain in chains for t in specification["evaluated"]]
        collect.collect(
            "collected.nc",
            [chain.metrics(t) for chain, t in at],
            seeds=self.branches.experiment.seed_list,
            specification=specification,
            evaluations=evaluations,
        )

    def run_step(self, step, t, inputs):
        """Run a step of an iteration as if its study expected inputs of these identities."""
        if step == "collect":
            self.collect(inputs)
        else:
            getattr(self, step)(t, made_of={"inputs": inputs})

    def iterate(self, t, seed=0):
        """Run all steps of an iteration."""
        for step in (self.assemble, self.train, self.generate, self.evaluate):
            step(t, seed)

    def block(self, t, holds, record):
        """Run all steps of the block that ends with an iteration, in one job."""
        found = run.Run(self.study, sources={}, environments={})
        found.write_snapshot()
        os.environ[run.SNAPSHOT] = str(found.snapshot)
        regime = REAL if t == 1 else self.regime
        place = iteration.Place("loop", self.point, regime, 0, t, holds)
        iteration.run_block(record, place, iteration.Machine(), afresh=True)

    def run(self, seed=0):
        """Run all iterations of a chain."""
        if self.data is not None and not Path(self.data).exists():
            self.prepare()
        for t in range(1, self.branches.experiment.iterations + 1):
            self.iterate(t, seed)
