"""The functions of a family that runs by steps, and the arguments that each one is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from collapse.artifacts.manifest import ShardRecord
from collapse.artifacts.step import Step
from collapse.artifacts.training_sets import Selection
from collapse.families.declarations import Parameters

#: The type of one family's parameters.
P = TypeVar("P", bound=Parameters)


class Prepared(NamedTuple):
    """The names of the real data's files, the number of samples in each, and details to record."""

    train: Sequence[tuple[str, int]]
    test: Sequence[tuple[str, int]]
    details: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class StepJob(Generic[P]):
    """The arguments that the function of any step is given.

    Attributes
    ----------
    step : Step
        The step's place in its chain, from which its random streams follow.
    parameters : Parameters
        The family's parameters; those that do not matter to this step have their defaults.
    data : Path
        Folder of the real data; it does not exist if the family has no data set.
    base : Path or None
        In the step prepare, the folder of the base that the workflow pretrained, if it needs one.
    """

    step: Step
    parameters: P
    data: Path
    base: Path | None = None


@dataclass(frozen=True, kw_only=True)
class TrainJob(StepJob[P]):
    """Train on the selected samples and write the checkpoint into the folder ``model``.

    An interrupted training continues from the state that it left in the folder ``scratch``, if
    that state has the same ``fingerprint``, which identifies the training set and the step.

    Attributes
    ----------
    previous : Path or None
        Folder of the checkpoint from whose weights the training starts, that of the iteration
        before; None for new weights, or for the base that the family fine-tunes.
    """

    selections: Sequence[Selection]
    fingerprint: str
    scratch: Path
    model: Path
    previous: Path | None = None


@dataclass(frozen=True, kw_only=True)
class GenerateJob(StepJob[P]):
    """Write samples of the model to the Parquet file ``output``.

    They are one sample for each slot, in their order; or for each number in ``candidates`` in turn,
    one for each slot. A sample depends on its slot and the number of the candidate alone, not on
    which others the job has.

    Attributes
    ----------
    slots : sequence of int
        Slots in ascending order.
    candidates : range
        Numbers of the candidates among which a regime selects a slot's sample. Without any
        selection the sample is candidate 0.
    """

    slots: Sequence[int]
    model: Path
    output: Path
    candidates: range = range(1)

    def purpose(self, purpose: str, candidate: int) -> str:
        """Return the name of a random stream of all slots, for a candidate of each."""
        return purpose if candidate == 0 else f"{purpose}, candidate {candidate}"


@dataclass(frozen=True, kw_only=True)
class ScoreJob(StepJob[P]):
    """Return the score ``name`` of each sample in the Parquet file ``samples``.

    ``model`` is the model that wrote them.
    """

    name: str
    samples: Path
    model: Path


@dataclass(frozen=True, kw_only=True)
class EvaluateJob(StepJob[P]):
    """Evaluate a model on real test data, and the samples in its first shards.

    ``selections`` is the model's training set. The work may use up to ``threads`` threads, and
    no number depends on how many.
    """

    selections: Sequence[Selection]
    model: Path
    shards: Sequence[ShardRecord]
    threads: int = 1


@dataclass(frozen=True, kw_only=True)
class PortrayJob(StepJob[P]):
    """Write the arrays that the pictures of an iteration show to the file ``output``."""

    model: Path
    shards: Sequence[ShardRecord]
    output: Path


@dataclass(frozen=True, kw_only=True)
class Steps(Generic[P]):
    """A family's functions for the steps of an iteration, which `collapse.loop.steps` calls.

    The loop verifies their inputs and writes the records of what they return.

    Attributes
    ----------
    train : callable
        Does what a `TrainJob` says, and returns details for the record of the training.
    generate : callable
        Does what a `GenerateJob` says, and returns details for the record of the shard.
    evaluate : callable
        Does what an `EvaluateJob` says, and returns the metrics by name.
    prepare : callable or None
        Writes real training and test data into the folder ``data``; None for a family that
        draws its real data in the other steps.
    base : callable or None
        Pretrains a base into the folder ``model`` of a `TrainJob` that selects no samples, and
        returns details for its record; None for a family whose trainings start from none.
    portray : callable or None
        Does what a `PortrayJob` says; None for a family without pictures.
    score : callable or None
        Does what a `ScoreJob` says, for every score that the family declares; None for a family
        without scores. A score does not depend on which other samples the file has, except for
        rounding.
    """

    train: Callable[[TrainJob[P]], dict[str, Any]]
    generate: Callable[[GenerateJob[P]], dict[str, Any]]
    evaluate: Callable[[EvaluateJob[P]], dict[str, float]]
    prepare: Callable[[StepJob[P]], Prepared] | None = None
    base: Callable[[TrainJob[P]], dict[str, Any]] | None = None
    portray: Callable[[PortrayJob[P]], None] | None = None
    score: Callable[[ScoreJob[P]], NDArray[np.float64]] | None = None
