"""What a family that runs by steps implements, and what the job of each step is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from collapse.artifacts.manifest import ShardRecord
from collapse.artifacts.step import Step
from collapse.artifacts.training_sets import Selection
from collapse.families.declarations import Parameters

#: The parameters of one family.
P = TypeVar("P", bound=Parameters)


class Prepared(NamedTuple):
    """The files of the real data, with the number of samples in each, and details to record."""

    train: Sequence[tuple[str, int]]
    test: Sequence[tuple[str, int]]
    details: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class StepJob(Generic[P]):
    """What the job of any step is given.

    Attributes
    ----------
    step : Step
        Where in which chain the step stands; it also gives the random streams.
    parameters : Parameters
        Those of the family, as far as they matter to this step; others have their defaults.
    data : Path
        Folder of the real data; it does not exist for a family that has no data set.
    """

    step: Step
    parameters: P
    data: Path


@dataclass(frozen=True, kw_only=True)
class TrainJob(StepJob[P]):
    """Train on the selected samples and write the checkpoint into the folder ``model``.

    An interrupted training goes on from what it left in the folder ``scratch`` if that has the
    same ``fingerprint``, which stands for the training set and for all that the step is.
    """

    selections: Sequence[Selection]
    fingerprint: str
    scratch: Path
    model: Path


@dataclass(frozen=True, kw_only=True)
class GenerateJob(StepJob[P]):
    """Write one sample for each slot to the Parquet file ``output``.

    A sample depends on its slot, not on which other slots are asked for with it.
    """

    slots: range
    model: Path
    output: Path


@dataclass(frozen=True, kw_only=True)
class EvaluateJob(StepJob[P]):
    """Evaluate a model on real test data, and the samples in its first shards.

    Work that no number depends on may be done in so many ``threads``.
    """

    selections: Sequence[Selection]
    model: Path
    shards: Sequence[ShardRecord]
    threads: int = 1


@dataclass(frozen=True, kw_only=True)
class PortrayJob(StepJob[P]):
    """Write what pictures show of an iteration to the file ``output``."""

    model: Path
    shards: Sequence[ShardRecord]
    output: Path


@dataclass(frozen=True, kw_only=True)
class Steps(Generic[P]):
    """What a family does in the steps of an iteration; `collapse.loop.steps` drives it.

    The loop reads, checks and writes everything around.

    Attributes
    ----------
    train : callable
        Trains as a `TrainJob` says, and returns details for the training's record.
    generate : callable
        Generates as a `GenerateJob` says, and returns details for the shard's record.
    evaluate : callable
        Returns the metrics that an `EvaluateJob` asks for.
    prepare : callable or None
        Writes the real data, training and test, into a folder; None for a family that draws
        its real data where it is needed.
    portray : callable or None
        Does what a `PortrayJob` says; None for a family without pictures.
    """

    train: Callable[[TrainJob[P]], dict[str, Any]]
    generate: Callable[[GenerateJob[P]], dict[str, Any]]
    evaluate: Callable[[EvaluateJob[P]], dict[str, float]]
    prepare: Callable[[StepJob[P]], Prepared] | None = None
    portray: Callable[[PortrayJob[P]], None] | None = None
