"""An experiment of a study: a family, its grid, regimes, iterations and seeds, as pydantic models.

What a family's own experiments add to these is in `collapse.study.experiments_by_family`.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from collapse import families, regimes
from collapse.families.declarations import extra_of
from collapse.study.names import point_name

Samples = Annotated[int, Field(ge=1, le=10**9)]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]
JobHolds = Literal["step", "iteration", "chain"]

#: Keys of an experiment that say how it runs and what it keeps, and that change no result.
HOUSEKEEPING = frozenset({"gpus", "keep_models", "job_holds"})


class Point(NamedTuple):
    """A cell of an experiment's parameter grid.

    ``axes`` holds its values on the axes that the study names, which also make up its ``name`` in
    paths. ``parameters`` holds these values and the study's settings, without ``samples``.
    """

    name: str
    axes: dict[str, Any]
    parameters: dict[str, Any]
    samples: int


def several(annotation: Any) -> Any:
    """Return the type of a list of at least one value, without repetitions."""
    return Annotated[list[annotation], Field(min_length=1, json_schema_extra={"uniqueItems": True})]


def one_or_several(annotation: Any) -> Any:
    """Return the type of an axis: a value, or a list of values without repetitions."""
    listed = BeforeValidator(
        lambda value: value if isinstance(value, list) else [value],
        json_schema_input_type=annotation | several(annotation),
    )
    return Annotated[list[annotation], Field(min_length=1), listed]


class Strict(BaseModel):
    """A model that refuses unknown keys, values of another type, and numbers that aren't finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Experiment(Strict):
    """A family, its parameter grid, regimes, iterations and seeds."""

    family: str = Field(description="Family of models that is fitted.")
    regimes: several(str) = Field(  # type: ignore[valid-type]
        description=f"Names of regimes: {', '.join(regimes.NAMED)}, or defined by the study."
    )
    iterations: Annotated[int, Field(ge=1, le=100_000)] = Field(
        description="Number T of model-fitting iterations; iteration 1 trains on real data."
    )
    seeds: Annotated[int, Field(ge=1, le=1_000_000)] | several(Seed) = Field(  # type: ignore[valid-type]
        description="Number of seeds, which are 0, 1, ..., or a list of seeds."
    )
    samples: one_or_several(Samples) = Field(  # type: ignore[valid-type]
        description="Number n of samples per iteration; a list is an axis like those of the grid."
    )
    grid: Any = Field(default=None, description="Parameters of the family, a value or a list each.")
    settings: Any = Field(
        default=None,
        description="Parameters of the family at one value each, without an axis in the results.",
    )
    evaluations: int | None = Field(
        default=None,
        ge=2,
        description="Number of logarithmically spaced iterations to evaluate; null: all of them.",
    )

    @property
    def seed_list(self) -> list[int]:
        """The seeds as a list, whether the study gives a number or a list."""
        return list(range(self.seeds)) if isinstance(self.seeds, int) else list(self.seeds)

    @property
    def axes(self) -> dict[str, list[Any]]:
        """The axes that the study names, in the order of the family's parameters, samples last."""
        given = self.grid.model_fields_set
        named = {key: values for key, values in self.grid if key in given}
        return {**named, "samples": self.samples}

    @property
    def fixed(self) -> dict[str, Any]:
        """The parameters that the study sets to one value for all points."""
        return {key: getattr(self.settings, key) for key in self.settings.model_fields_set}

    @property
    def all_axes(self) -> dict[str, list[Any]]:
        """The axes of the results: those that the study names, and the family's permanent ones."""
        fields = families.load(self.family).parameters.model_fields
        others = {
            key: [self.fixed.get(key, field.default)]
            for key, field in fields.items()
            if not extra_of(field).get("optional_axis")
        }
        return {**others, **self.axes}

    @property
    def by_iteration(self) -> bool:
        """Whether every step of every iteration is a job with files."""
        return False

    @property
    def evaluated(self) -> tuple[int, ...]:
        """The iterations at which models are evaluated."""
        if self.evaluations is None or self.evaluations >= self.iterations:
            return tuple(range(1, self.iterations + 1))
        spaced = np.geomspace(1, self.iterations, self.evaluations).round().astype(int)
        return tuple(int(t) for t in np.unique(spaced))

    def points(self) -> list[Point]:
        """Return the cells of the grid; the last axis varies fastest."""
        points = []
        for values in itertools.product(*self.axes.values()):
            cell = dict(zip(self.axes, values, strict=True))
            parameters = {**self.fixed, **cell}
            samples = parameters.pop("samples")
            points.append(Point(point_name(cell), cell, parameters, samples))
        return points


class IterativeExperiment(Experiment):
    """An experiment in which each step of each iteration is a job with files."""

    shard_size: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="Synthetic samples per shard; one job generates one shard. null: n.",
    )
    gpus: Annotated[int, Field(ge=1)] = Field(
        default=1,
        description="GPUs per training, which share each batch; a profile may override it.",
    )
    keep_models: Literal["all", "last", "none"] = Field(
        default="all",
        description="Which checkpoints to keep after they have been sampled from and evaluated. "
        "A deleted checkpoint is trained again if a later run needs it.",
    )

    job_holds: JobHolds | None = Field(
        default=None,
        description="What one job holds: a step, all steps of an iteration, or of a whole chain. "
        "The files and numbers are the same. null: a chain if its iterations are short, otherwise "
        "a step, or on a cluster an iteration.",
    )

    @property
    def by_iteration(self) -> bool:
        """True: every step of every iteration is a job with files."""
        return True


class EitherExperiment(IterativeExperiment):
    """An experiment of a closed-form family that can also run step by step."""

    per_iteration: bool = Field(
        default=False,
        description="Run every step of every iteration as a job with files, as neural families "
        "do, instead of a whole chain as one job. This is slow and serves to try the workflow.",
    )

    @property
    def by_iteration(self) -> bool:
        """Whether every step of every iteration is a job with files, as the study chooses."""
        return self.per_iteration


def axes_of(model: type[BaseModel], without: Collection[str] = ()) -> dict[str, Any]:
    """Return the fields of a model as axes: a value each, or a list without repetitions."""
    axes = {}
    for key, field in model.model_fields.items():
        if key in without:
            continue
        annotation: Any = field.annotation
        if field.metadata:
            annotation = Annotated[annotation, *field.metadata]
        default = ... if field.is_required() else [field.default]
        axes[key] = (one_or_several(annotation), Field(default, description=field.description))
    return axes
