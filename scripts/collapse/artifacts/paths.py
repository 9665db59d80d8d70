"""Where the files of an iterative chain are, which follow from which, and where a step stands.

Iteration 1 trains on real data alone, so its files stand under the regime ``real`` and all
regimes of a point and seed branch from them. A file's point names only the parameters that
matter to it: points that differ in their temperature share the checkpoint of iteration 1,
and points that differ in their model share the real data.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from collapse.regimes import Regime
from collapse.seeding import REAL

#: Name of a point of which nothing matters.
ANY = "any"

#: Name of the record of a training, beside its checkpoint.
TRAINING = "training.json"


class Shard(NamedTuple):
    """A file of synthetic samples ``start`` to ``stop`` of an iteration, and its record."""

    start: int
    stop: int
    path: str
    record: str


class Points(NamedTuple):
    """The name of a point as far as each stage of iteration 1 knows it, and the whole name."""

    data: str
    training: str
    generation: str
    evaluation: str
    later: str


@dataclass(frozen=True)
class Branch:
    """The chain of one regime and one seed at a point, from the shared iteration 1 on."""

    experiment: str
    points: Points
    regime_name: str
    regime: Regime
    seed: int
    samples: int
    shard_size: int
    evaluated_samples: int

    @property
    def data(self) -> str:
        """Folder of the real data, training and test."""
        return f"results/{self.experiment}/data/{self.points.data}"

    def training_set(self, t: int) -> str:
        """Manifest of the training set of iteration t."""
        return f"{self._folder(t, self.points.training)}/training_set.json"

    def model(self, t: int) -> str:
        """Folder of the checkpoint of iteration t."""
        return f"{self._folder(t, self.points.training)}/model"

    def training(self, t: int) -> str:
        """Record of the training of iteration t: its learning curve and what it cost."""
        return f"{self._folder(t, self.points.training)}/{TRAINING}"

    def folders(self, t: int) -> list[str]:
        """Folders of iteration t: of its training, and of its samples."""
        points = (self.points.training, self.points.generation)
        return sorted({self._folder(t, point) for point in points})

    def metrics(self, t: int) -> str:
        """Metrics of the model of iteration t and of its samples."""
        return f"{self._folder(t, self.points.evaluation)}/metrics.json"

    def portrait(self, t: int) -> str:
        """What is shown of iteration t, of a family whose results are pictures."""
        return f"{self._folder(t, self.points.evaluation)}/portrait.npz"

    def shards(self, t: int) -> list[Shard]:
        """Files that hold the samples of iteration t for iteration t + 1, or begin with them."""
        return list(self._cut(t, self.regime.generated(t + 1, self.samples)))

    def evaluated_shards(self, t: int) -> list[Shard]:
        """Files that hold the samples which the evaluation of iteration t reads.

        Those of iteration 1 are the same for every regime.
        """
        written = self.samples if t == 1 else self.regime.generated(t + 1, self.samples)
        return [shard for shard in self._cut(t, written) if shard.start < self.evaluated_samples]

    def _cut(self, t: int, count: int) -> Iterator[Shard]:
        """Cut samples into files.

        The first n of iteration 1 are cut alike whoever needs how many of them, so that
        regimes share them: a file may then hold more than its last reader takes.
        """
        written = max(count, self.samples) if t == 1 else count
        cuts = {*range(0, written, self.shard_size), written}
        if t == 1:
            cuts.add(self.samples)
        folder = f"{self._folder(t, self.points.generation)}/synthetic"
        for start, stop in itertools.pairwise(sorted(cuts)):
            if start < count:
                name = f"{folder}/{start}-{stop}"
                yield Shard(start, stop, f"{name}.parquet", f"{name}.json")

    def _folder(self, t: int, shared_point: str) -> str:
        point, regime = (shared_point, REAL) if t == 1 else (self.points.later, self.regime_name)
        return f"results/{self.experiment}/{point}/{regime}/seed{self.seed}/iter{t}"
