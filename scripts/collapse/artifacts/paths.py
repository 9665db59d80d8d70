"""Paths of the files of a chain that runs iteration by iteration.

Iteration 1 trains on real data alone, so its files are stored under the regime ``real`` and the
chains of all regimes of a point and seed branch from them. A file's point names only the
parameters that matter to it: points that differ in their temperature share the checkpoint of
iteration 1, and points that differ in their model share the real data.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from collapse.regimes import Regime
from collapse.seeding import REAL

#: Name of a point whose parameters don't matter at all.
ANY = "any"

#: File names of the records of the real data, in its folder, and of a training, beside its model.
DATASET, TRAINING = "dataset.json", "training.json"

#: Name of the folder, beside a checkpoint, of the state from which its training continues.
SCRATCH = ".training"

#: Folder of the results, relative to the working directory.
_RESULTS = "results"


def output_of(path: str | Path) -> Path | None:
    """Return the output of a rule that a file belongs to, or None if it is in no result.

    It is the file itself, or the folder of a checkpoint or of real data.
    """
    try:
        parts = Path(path).absolute().relative_to(Path.cwd()).parts
    except ValueError:
        return None
    if parts[0] != _RESULTS:
        return None
    if parts[1:2] == (BASES,):
        return Path(*parts[:3])
    if parts[2:3] == ("data",):
        return Path(*parts[:4])
    return Path(*parts[:7]) if parts[6:7] == ("model",) else Path(*parts)


def iteration_of(path: Path) -> int:
    """Return the iteration that a path is in, or 0 if it is in none."""
    found = re.search("/iter([0-9]+)(/|$)", str(path))
    return int(found[1]) if found else 0


#: Folder in results/ of the bases, which experiments share, and the record in the folder of a base.
BASES, BASE = "bases", "base.json"


def base_folder(identity: str) -> str:
    """Return the folder of the base of an identity: a model that the workflow pretrains."""
    return f"results/{BASES}/{identity}"


class Shard(NamedTuple):
    """The paths of a shard, samples ``start`` to ``stop`` of an iteration, and of its record.

    ``scored`` tells whether it holds samples that the regime selects or weighs by a score, with
    the scores, or the samples of the model's first candidates as they come.
    """

    start: int
    stop: int
    path: str
    record: str
    scored: bool = False

    @property
    def kind(self) -> str:
        """The ending of the names of the shard's folder and log: empty, or `SCORED`."""
        return SCORED if self.scored else ""


#: Of the wildcard that the folder of a shard ends with: nothing, or that its samples have scores.
SCORED = "-scored"


class Points(NamedTuple):
    """The names of a point, each with the parameters that matter up to a stage of an iteration."""

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

    @property
    def dataset(self) -> str:
        """Path of the record of the real data."""
        return f"{self.data}/{DATASET}"

    def training_set(self, t: int) -> str:
        """Return the path of the manifest of the training set of iteration t."""
        return f"{self._folder(t, self.points.training)}/training_set.json"

    def model(self, t: int) -> str:
        """Return the folder of the checkpoint of iteration t."""
        return f"{self._folder(t, self.points.training)}/model"

    def training(self, t: int) -> str:
        """Return the path of the record of a training: its learning curve and what it cost."""
        return f"{self._folder(t, self.points.training)}/{TRAINING}"

    def metrics(self, t: int) -> str:
        """Return the path of the metrics of the model of iteration t and of its samples."""
        return f"{self._folder(t, self.points.evaluation)}/metrics.json"

    def evaluation(self, t: int) -> str:
        """Return the path of the record of an evaluation, which is beside its metrics."""
        return f"{self._folder(t, self.points.evaluation)}/evaluation.json"

    def portrait(self, t: int) -> str:
        """Return the path of the portrait of iteration t, of a family that draws pictures."""
        return f"{self._folder(t, self.points.evaluation)}/portrait.npz"

    def block(self, t: int, holds: str) -> str:
        """Return the path of the record of a job that holds several steps, up to iteration t.

        ``holds`` is ``iteration`` or ``chain``. The record has a number as well if outputs of the
        job were lost after it had ended.
        """
        return f"{self._folder(t, self.points.training)}/{holds}.json"

    def shards(self, t: int) -> list[Shard]:
        """Return the shards that iteration t + 1 needs of the samples of iteration t.

        If the regime selects or weighs samples by a score, they are its own at iteration 1 too.
        """
        count = self.regime.generated(t + 1, self.samples)
        if not self.regime.scores:
            return list(self._cut(t, count))
        cuts = itertools.pairwise([*range(0, count, self.shard_size), count])
        return [self.shard(t, start, stop, scored=True) for start, stop in cuts]

    def evaluated_shards(self, t: int) -> list[Shard]:
        """Return the shards that an evaluation reads; at iteration 1 all regimes share them.

        They are what the model writes, before any selection, so that metrics of samples are those
        of the model under every regime.
        """
        if t > 1 and self.regime.select is not None:
            written = self.regime.generated(t + 1, self.samples)
            return list(self._cut(t, min(written, self.evaluated_samples)))
        shards = self._cut(t, self.samples) if t == 1 else self.shards(t)
        return [shard for shard in shards if shard.start < self.evaluated_samples]

    def _cut(self, t: int, count: int) -> Iterator[Shard]:
        """Yield the shards into which samples are cut.

        At iteration 1 they don't depend on how many samples a regime needs, so that regimes
        share them: the last shard may then hold more samples than a regime needs.
        """
        written = max(count, self.samples) if t == 1 else count
        cuts = {*range(0, written, self.shard_size), written}
        if t == 1:
            cuts.add(self.samples)
        for start, stop in itertools.pairwise(sorted(cuts)):
            if start < count:
                yield self.shard(t, start, stop)

    def shard(self, t: int, start: int, stop: int, *, scored: bool = False) -> Shard:
        """Return the shard that holds samples ``start`` to ``stop`` of the model of iteration t."""
        folder = self._folder(t, self.points.generation)
        if t == 1 and scored:  # no other regime shares it
            folder = self._place(self.points.generation, self.regime_name, t)
        name = f"{folder}/synthetic{SCORED if scored else ''}/{start}-{stop}"
        return Shard(start, stop, f"{name}.parquet", f"{name}.json", scored)

    def _folder(self, t: int, shared_point: str) -> str:
        place = (shared_point, REAL) if t == 1 else (self.points.later, self.regime_name)
        return self._place(*place, t)

    def _place(self, point: str, regime: str, t: int) -> str:
        return f"results/{self.experiment}/{point}/{regime}/seed{self.seed}/iter{t}"
