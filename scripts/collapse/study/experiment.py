"""An experiment of a study: a family, its grid, regimes, iterations and seeds, as pydantic models.

The schema of a family's experiments is built from its `collapse.families.declarations.Parameters`.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model

from collapse import families, regimes
from collapse.families.declarations import extra_of

Samples = Annotated[int, Field(ge=1, le=10**9)]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]

#: Between the parameters in the name of a point or a regime. Not a comma: Snakemake cuts the
#: wildcards of a job on a cluster at commas (its issue 2366).
JOINT = "__"


class Point(NamedTuple):
    """A cell of an experiment's parameter grid.

    ``axes`` are its values on the axes that the study names, of which its ``name`` in paths is
    made; ``parameters`` are those and what the study sets for all points.
    """

    name: str
    axes: dict[str, Any]
    parameters: dict[str, Any]
    samples: int


def several(annotation: Any) -> Any:
    """Return the type of a list of different values, at least one."""
    return Annotated[list[annotation], Field(min_length=1, json_schema_extra={"uniqueItems": True})]


def one_or_several(annotation: Any) -> Any:
    """Return the type of an axis: a value, or a list of different values."""
    listed = BeforeValidator(
        lambda value: value if isinstance(value, list) else [value],
        json_schema_input_type=annotation | several(annotation),
    )
    return Annotated[list[annotation], Field(min_length=1), listed]


class Strict(BaseModel):
    """Refuses unknown keys and values of another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Experiment(Strict):
    """A family, its parameter grid, regimes, iterations and seeds."""

    family: str = Field(description="What is fitted.")
    regimes: several(str) = Field(  # type: ignore[valid-type]
        description=f"Names: {', '.join(regimes.NAMED)}, or those that the study defines."
    )
    iterations: Annotated[int, Field(ge=1, le=100_000)] = Field(
        description="Model-fitting iterations T; iteration 1 is on real data."
    )
    seeds: Annotated[int, Field(ge=1, le=1_000_000)] | several(Seed) = Field(  # type: ignore[valid-type]
        description="How many seeds (0, 1, ...), or a list of them."
    )
    samples: one_or_several(Samples) = Field(  # type: ignore[valid-type]
        description="Samples n per iteration: a number or a list, an axis like those of the grid."
    )
    grid: Any = Field(default=None, description="Parameters of the family, each a value or a list.")
    settings: Any = Field(
        default=None,
        description="Parameters of the family at one value each, which are no axis of the results.",
    )
    evaluations: int | None = Field(
        default=None,
        ge=2,
        description="Evaluate this many logarithmically spaced iterations instead of all.",
    )

    @property
    def seed_list(self) -> list[int]:
        """The seeds themselves."""
        return list(range(self.seeds)) if isinstance(self.seeds, int) else list(self.seeds)

    @property
    def axes(self) -> dict[str, list[Any]]:
        """The axes that the study names, in the order of the family's; samples come last."""
        given = self.grid.model_fields_set
        named = {key: values for key, values in self.grid if key in given}
        return {**named, "samples": self.samples}

    @property
    def fixed(self) -> dict[str, Any]:
        """The parameters that the study sets for all points."""
        return {key: getattr(self.settings, key) for key in self.settings.model_fields_set}

    @property
    def all_axes(self) -> dict[str, list[Any]]:
        """The axes of the results: those named, and the family's others at their one value."""
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
        """List the cells of the grid, the last axis fastest."""
        points = []
        for values in itertools.product(*self.axes.values()):
            cell = dict(zip(self.axes, values, strict=True))
            parameters = {**self.fixed, **cell}
            samples = parameters.pop("samples")
            points.append(Point(point_name(cell), cell, parameters, samples))
        return points


class IterativeExperiment(Experiment):
    """An experiment whose steps are jobs with files."""

    shard_size: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="Synthetic samples in a file, each written by a job of its own; null: n.",
    )
    gpus: Annotated[int, Field(ge=1)] = Field(
        default=1,
        description="GPUs of a training, which share its batches; the profile may say otherwise.",
    )
    keep_models: Literal["all", "last", "none"] = Field(
        default="all",
        description="Checkpoints to keep once they have been sampled from and evaluated; one "
        "that is needed again is trained again.",
    )

    @property
    def by_iteration(self) -> bool:
        """Whether every step of every iteration is a job with files: it is."""
        return True


class EitherExperiment(IterativeExperiment):
    """An experiment of a closed-form family that can also run step by step."""

    per_iteration: bool = Field(
        default=False,
        description="Run every step of every iteration as a job with files, as neural families "
        "do, instead of a chain at once: slow, to try the workflow out.",
    )

    @property
    def by_iteration(self) -> bool:
        """Whether every step of every iteration is a job with files: as the study says."""
        return self.per_iteration


def point_name(cell: Mapping[str, Any]) -> str:
    """Return the name of a cell of a grid, as in paths and random streams."""
    return JOINT.join(f"{key}={text_of(value)}" for key, value in cell.items())


def text_of(value: Any) -> str:
    """Write a value as it appears in the names of points and regimes, safe in a path."""
    written = value if isinstance(value, str) else json.dumps(value)
    return written.translate(str.maketrans("*/", "x+", "()"))


def axes_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return the fields of a model as axes, each a value or a list of different values."""
    axes = {}
    for key, field in model.model_fields.items():
        annotation: Any = field.annotation
        if field.metadata:
            annotation = Annotated[annotation, *field.metadata]
        default = ... if field.is_required() else [field.default]
        axes[key] = (one_or_several(annotation), Field(default, description=field.description))
    return axes


def experiment_model(family: str) -> Any:
    """Build the schema of one family's experiments from its `Parameters`."""
    title = "".join(part.title() for part in family.split("_"))
    declared = families.load(family)
    axes = axes_of(declared.parameters)
    grid = create_model(f"{title}Grid", __base__=Strict, **axes)
    settings = create_model(f"{title}Settings", __base__=(declared.parameters, Strict))
    described = Experiment.model_fields
    family_name: Any = Literal[family]
    base = {
        (True, False): Experiment,
        (False, True): IterativeExperiment,
        (True, True): EitherExperiment,
    }[declared.closed_form is not None, declared.iterative is not None]
    return create_model(
        f"{title}Experiment",
        __base__=base,
        family=(family_name, Field(description="What is fitted.")),
        grid=(grid, Field(default_factory=grid, description=described["grid"].description)),
        settings=(
            settings,
            Field(default_factory=settings, description=described["settings"].description),
        ),
    )
