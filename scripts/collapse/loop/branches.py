"""The chains of an experiment that runs by steps, and what each step of theirs may depend on."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

from collapse import families
from collapse.artifacts import paths, training_sets
from collapse.artifacts.paths import Branch, Points
from collapse.artifacts.step import Step
from collapse.families.declarations import STAGES, Parameters, identifying
from collapse.regimes import Regime
from collapse.seeding import REAL
from collapse.study import Study
from collapse.study.experiment import Point
from collapse.study.names import point_name

#: The regime of iteration 1, which trains on the same real data under every regime.
ANY_REGIME = Regime(keep_real=True)


class Branches:
    """The chains of an experiment that runs by steps.

    Methods take a point by any of the names in its `Points`.
    """

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
        """Return the chain of a point, regime and seed; ``real`` stands for iteration 1 alone.

        Raises
        ------
        KeyError
            If no point of the experiment has this name.
        """
        samples, points = self._cells[point].samples, self._points[point]
        return Branch(
            experiment=self.name,
            points=points,
            regime_name=regime,
            regime=self._realised(points.later, samples, regime, int(seed)),
            seed=int(seed),
            samples=samples,
            shard_size=self.experiment.shard_size or samples,
            evaluated_samples=self.family.by_steps.evaluated_samples(self.parameters(point)),
        )

    @functools.cache  # noqa: B019  one study lives as long as the process
    def _realised(self, point: str, samples: int, regime: str, seed: int) -> Regime:
        """Return the regime of a chain, with the numbers that it draws for the whole chain."""
        if regime == REAL:
            return ANY_REGIME
        # The samples of the last model are cut as if one more iteration followed.
        chain = (self.name, point, regime, seed)
        last = self.experiment.iterations + 1
        return training_sets.realised(self._study.regime_table[regime], samples, last, *chain)

    def all(self, seeds: Sequence[int] | None = None) -> Iterator[Branch]:
        """Yield the chain of every point, regime and seed, or of these seeds."""
        for point in self._study.cells[self.name]:
            for regime in self._study.regimes_of(self.name):
                for seed in self.experiment.seed_list if seeds is None else seeds:
                    yield self.branch(point, regime, seed)

    def real_samples(self, point: str) -> int:
        """Return the largest number of real samples of a point's data that any chain trains on."""
        chains = (
            (cell.samples, self.branch(name, regime, seed).regime)
            for name, cell in self._study.cells[self.name].items()
            if self._points[name].data == self._points[point].data
            for regime in self._study.regimes_of(self.name)
            for seed in self._seeds_that_differ(regime)
        )
        return max(regime.real_samples(self.experiment.iterations, n) for n, regime in chains)

    def _seeds_that_differ(self, regime: str) -> Sequence[int]:
        """Return the seeds whose numbers of real samples may differ under a regime."""
        seeds: Sequence[int] = self.experiment.seed_list
        return seeds[:1] if self._study.regime_table[regime].provenance == "fixed" else seeds

    @functools.cached_property
    def evaluates_samples(self) -> bool:
        """Whether any chain evaluates samples of its models."""
        return any(branch.evaluated_samples for branch in self.all())

    def step(self, point: str, regime: str, seed: int, iteration: int, stage: str) -> Step:
        """Return the key of a step, with those parameters alone that matter up to its stage."""
        parameters, samples = self._known(point, stage, int(iteration) > 1)
        return Step(
            experiment=self.name,
            point=point,
            data_point=self._points[point].data,
            regime=regime,
            seed=int(seed),
            iteration=int(iteration),
            family=self.experiment.family,
            parameters=parameters,
            samples=samples,
        )

    @functools.cache  # noqa: B019  one study lives as long as the process
    def _known(self, point: str, stage: str, later: bool) -> tuple[dict[str, Any], int]:
        """Return the parameters and n of a point, as far as they matter up to a stage."""
        known = set(range(STAGES.index(stage) + 1))
        if later:
            known.add(STAGES.index("later"))
        every = identifying(self.family.parameters, self.parameters(point).model_dump())
        parameters = {
            key: value for key, value in every.items() if self.family.stage_of(key) in known
        }
        sized = self.family.stage_of("samples") in known
        return parameters, self._cells[point].samples if sized else 0

    def base(self, point: str) -> Step | None:
        """Return the key of the base of a point; None if the workflow pretrains none for it.

        It names no experiment, so that experiments share a base with the same parameters.
        """
        chosen = self.family.by_steps.base(self.parameters(point))
        if chosen is None:
            return None
        return Step(
            experiment=paths.BASES,
            point=paths.ANY,
            data_point=paths.ANY,
            regime=REAL,
            seed=0,
            iteration=1,
            family=self.experiment.family,
            parameters=dict(chosen),
            samples=0,
        )

    @functools.cache  # noqa: B019  one study lives as long as the process
    def parameters(self, point: str) -> Parameters:
        """Return all parameters of a point, also those that matter only to later stages."""
        return self.family.parameters(**self._cells[point].parameters)

    def _restricted(self, point: Point, stage: str) -> str:
        """Return the name of a point, with those axes alone that matter up to a stage."""
        last = STAGES.index(stage)
        known = {
            key: value for key, value in point.axes.items() if self.family.stage_of(key) <= last
        }
        return point_name(known) or paths.ANY
