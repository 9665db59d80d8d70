"""What the rules of iterations ask of a study: branches, and what a step may depend on."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from collapse import families
from collapse.artifacts import paths
from collapse.artifacts.paths import Branch, Points
from collapse.artifacts.step import Step
from collapse.families.declarations import STAGES, Parameters
from collapse.regimes import Regime
from collapse.seeding import REAL
from collapse.study import Study
from collapse.study.experiment import Point, point_name

#: Iteration 1 is the same under every regime.
_ANY_REGIME = Regime(keep_real=True)


class Branches:
    """The chains of an iterative experiment of a study."""

    def __init__(self, study: Study, experiment: str) -> None:
        self.name = experiment
        self.experiment: Any = study.experiments[experiment]
        self._study = study
        self.family = families.load(self.experiment.family)
        self._points: dict[str, Points] = {}
        self._cells: dict[str, Point] = {}
        for point in study.cells[experiment].values():
            names = Points(*(self._restricted(point, stage) for stage in STAGES))
            for name in reversed(names):
                self._points.setdefault(name, names)
                self._cells.setdefault(name, point)

    def branch(self, point: str, regime: str, seed: int) -> Branch:
        """Return the chain of a regime and seed; under ``real``, no more than its iteration 1.

        Raises
        ------
        KeyError
            If the experiment has no such point, whole or as far as a stage knows it.
        """
        samples = self._cells[point].samples
        known = regime == REAL
        return Branch(
            experiment=self.name,
            points=self._points[point],
            regime_name=regime,
            regime=_ANY_REGIME if known else self._study.regime_table[regime],
            seed=int(seed),
            samples=samples,
            shard_size=self.experiment.shard_size or samples,
            evaluated_samples=self.family.by_steps.evaluated_samples(self.parameters(point)),
        )

    def all(self) -> Iterator[Branch]:
        """Yield every chain."""
        for point in self._study.cells[self.name]:
            for regime in self._study.regimes_of(self.name):
                for seed in self.experiment.seed_list:
                    yield self.branch(point, regime, seed)

    @functools.cached_property
    def evaluates_samples(self) -> bool:
        """Whether the samples of any iteration are evaluated."""
        return any(branch.evaluated_samples for branch in self.all())

    def step(self, point: str, regime: str, seed: int, iteration: int, stage: str) -> Step:
        """Return what a step may depend on: its place, and the parameters up to its stage."""
        parameters = self.parameters(point)
        known = set(range(STAGES.index(stage) + 1))
        if int(iteration) > 1:
            known.add(STAGES.index("later"))
        sized = self.family.stage_of("samples") in known
        return Step(
            experiment=self.name,
            point=point,
            data_point=self._points[point].data,
            regime=regime,
            seed=int(seed),
            iteration=int(iteration),
            family=self.experiment.family,
            parameters={
                key: value
                for key, value in parameters.model_dump().items()
                if self.family.stage_of(key) in known
            },
            samples=self._cells[point].samples if sized else 0,
        )

    @functools.cache  # noqa: B019  one study lives as long as the process
    def parameters(self, point: str) -> Parameters:
        """Return all parameters of a point, those that later steps alone depend on, too."""
        return self.family.parameters(**self._cells[point].parameters)

    def _restricted(self, point: Point, stage: str) -> str:
        """Return the name of a point as far as a stage knows it."""
        last = STAGES.index(stage)
        known = {
            key: value for key, value in point.axes.items() if self.family.stage_of(key) <= last
        }
        return point_name(known) or paths.ANY
