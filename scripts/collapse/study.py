"""The study file: what a user writes, as pydantic models. The only schema there is.

A study is one YAML file with named experiments. `load` returns a `Study` or raises
`StudyError`, whose message is one line: file, key, what was found, what was expected.
"""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Union

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model

from collapse import families, regimes, study_checks, study_errors, study_file
from collapse.chain import ChainSpec
from collapse.regimes import Regime
from collapse.study_errors import StudyError

__all__ = ["Experiment", "Point", "Study", "StudyError", "json_schema", "load", "resolved"]

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", max_length=100)]
_NAMED = Field(json_schema_extra={"additionalProperties": False})
Samples = Annotated[int, Field(ge=1, le=10**9)]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]

#: Between the parameters in the name of a point or a regime. Not a comma: Snakemake cuts the
#: wildcards of a job on a cluster at commas (its issue 2366).
JOINT = "__"

#: What is expected where pydantic's location ends so: the name of an entry; a size.
_WORDS = {
    "[key]": "a name of at most 100 letters, digits, - and _ that begins with a letter",
    "constrained-str": "a multiple of the samples n, such as n, 0.5n, tn or n*1.1^(t-1)",
}


class Point(NamedTuple):
    """A cell of an experiment's parameter grid.

    ``axes`` are its values on the axes that the study names, of which its ``name`` in paths is
    made; ``parameters`` are those and what the study sets for all points.
    """

    name: str
    axes: dict[str, Any]
    parameters: dict[str, Any]
    samples: int


def _several(annotation: Any) -> Any:
    """Return the type of a list of different values, at least one."""
    return Annotated[list[annotation], Field(min_length=1, json_schema_extra={"uniqueItems": True})]


def _one_or_several(annotation: Any) -> Any:
    """Return the type of an axis: a value, or a list of different values."""
    listed = BeforeValidator(
        lambda value: value if isinstance(value, list) else [value],
        json_schema_input_type=annotation | _several(annotation),
    )
    return Annotated[list[annotation], Field(min_length=1), listed]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Experiment(_Strict):
    """A family, its parameter grid, regimes, iterations and seeds."""

    family: str = Field(description="What is fitted.")
    regimes: _several(str) = Field(  # type: ignore[valid-type]
        description=f"Names: {', '.join(regimes.NAMED)}, or those that the study defines."
    )
    iterations: Annotated[int, Field(ge=1, le=100_000)] = Field(
        description="Model-fitting iterations T; iteration 1 is on real data."
    )
    seeds: Annotated[int, Field(ge=1, le=1_000_000)] | _several(Seed) = Field(  # type: ignore[valid-type]
        description="How many seeds (0, 1, ...), or a list of them."
    )
    samples: _one_or_several(Samples) = Field(  # type: ignore[valid-type]
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
        fields = families.load(self.family).Parameters.model_fields
        others = {
            key: [self.fixed.get(key, field.default)]
            for key, field in fields.items()
            if not (field.json_schema_extra or {}).get("variant")
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
    keep_models: Literal["all", "last", "none"] = Field(
        default="all",
        description="Checkpoints to keep once they have been sampled from and evaluated; one "
        "that is needed again is trained again.",
    )

    @property
    def by_iteration(self) -> bool:
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
        return self.per_iteration


def point_name(cell: Mapping[str, Any]) -> str:
    """Return the name of a cell of a grid, as in paths and random streams."""
    return JOINT.join(f"{key}={_text(value)}" for key, value in cell.items())


def _text(value: Any) -> str:
    """Write a value as it appears in the names of points and regimes, safe in a path."""
    written = value if isinstance(value, str) else json.dumps(value)
    return written.translate(str.maketrans("*", "x", "()"))


def _axes(model: type[BaseModel]) -> dict[str, Any]:
    """Return the fields of a model as axes, each a value or a list of different values."""
    axes = {}
    for key, field in model.model_fields.items():
        annotation: Any = field.annotation
        if field.metadata:
            annotation = Annotated[annotation, *field.metadata]
        default = ... if field.is_required() else [field.default]
        axes[key] = (_one_or_several(annotation), Field(default, description=field.description))
    return axes


def _experiment_model(family: str) -> Any:
    """Build the schema of one family's experiments from its `Parameters`."""
    title = "".join(part.title() for part in family.split("_"))
    module = families.load(family)
    axes = _axes(module.Parameters)
    grid = create_model(f"{title}Grid", __base__=_Strict, **axes)
    settings = create_model(f"{title}Settings", __base__=(module.Parameters, _Strict))
    described = Experiment.model_fields
    family_name: Any = Literal[family]
    base = {
        (True, False): Experiment,
        (False, True): IterativeExperiment,
        (True, True): EitherExperiment,
    }[families.runs_at_once(module), families.runs_by_iteration(module)]
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


#: A regime of the study's own; a field that is a list stands for several regimes.
RegimeDefinition: Any = create_model(
    "RegimeDefinition",
    __base__=_Strict,
    __doc__="A regime: what iteration t >= 2 trains on. A field may be a list, which defines "
    "one regime for each combination, named <name>__<field>=<value>.",
    **_axes(Regime),
)

if TYPE_CHECKING:
    AnyExperiment = Experiment
else:
    _models = tuple(_experiment_model(family) for family in families.MODULES)
    AnyExperiment = Annotated[Union[_models], Field(discriminator="family")]  # noqa: UP007


class Study(_Strict):
    """A set of named experiments."""

    experiments: Annotated[dict[Name, AnyExperiment], _NAMED, Field(min_length=1)] = Field(
        description="The experiments, by name."
    )
    regimes: Annotated[dict[Name, RegimeDefinition], _NAMED] = Field(
        default_factory=dict, description="Regimes beyond those of the papers, by name."
    )

    @functools.cached_property
    def expansions(self) -> dict[str, dict[str, Regime]]:
        """What an experiment may name: a regime, or the regimes that a definition stands for."""
        named = {name: {name: regime} for name, regime in regimes.NAMED.items()}
        return named | {name: _expand(name, each) for name, each in self.regimes.items()}

    def regimes_of(self, experiment: str) -> list[str]:
        """Return the names of the regimes of an experiment."""
        written = self.experiments[experiment].regimes
        return [name for each in written for name in self.expansions[each]]

    @functools.cached_property
    def regime_table(self) -> dict[str, Regime]:
        """Every regime by its name."""
        return {name: each for group in self.expansions.values() for name, each in group.items()}

    @functools.cached_property
    def cells(self) -> dict[str, dict[str, Point]]:
        """The points of every experiment, by name."""
        return {
            name: {point.name: point for point in experiment.points()}
            for name, experiment in self.experiments.items()
        }

    def chain(self, experiment: str, point: str, regime: str) -> ChainSpec:
        """Return what the numbers of one chain depend on."""
        plan = self.experiments[experiment]
        cell = self.cells[experiment][point]
        parameters = families.load(plan.family).Parameters(**cell.parameters)
        return ChainSpec(
            experiment=experiment,
            point=point,
            regime_name=regime,
            regime=self.regime_table[regime],
            family=plan.family,
            parameters=parameters.model_dump(),
            samples=cell.samples,
            iterations=plan.iterations,
            evaluated=plan.evaluated,
        )

    def chains(self, experiment: str) -> Iterator[ChainSpec]:
        """Yield every chain of an experiment."""
        for point in self.cells[experiment]:
            for regime in self.regimes_of(experiment):
                yield self.chain(experiment, point, regime)


def _expand(name: str, definition: Any) -> dict[str, Regime]:
    """Return the regimes that a definition stands for, by name."""
    fields = {key: getattr(definition, key) for key in Regime.model_fields}
    expanded = {}
    for values in itertools.product(*fields.values()):
        chosen = dict(zip(fields, values, strict=True))
        varied = [f"{JOINT}{key}={_text(chosen[key])}" for key in fields if len(fields[key]) > 1]
        expanded[name + "".join(varied)] = Regime(**chosen)
    return expanded


def load(path: str | Path) -> Study:
    """Read and check a study file.

    Raises
    ------
    StudyError
        With one line: file and line, key, what was found, what was expected.
    """
    document = study_file.read(Path(path))
    try:
        study = Study.model_validate(document.content)
    except ValidationError as error:
        mistake = study_errors.explain(error, document.content, _known_keys, _WORDS)
        raise document.error(mistake) from None
    for mistake in study_checks.mistakes(study):
        raise document.error(mistake)
    return study


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of the study file, for editors."""
    return Study.model_json_schema()


def _known_keys(path: tuple[Any, ...], content: Any) -> list[str]:
    """List the keys that may stand where an unknown one was found."""
    model: type[BaseModel] = EitherExperiment if path else Study
    if path[:1] == ("regimes",):
        model = Regime
    elif path[2:] in (("grid",), ("settings",)):
        model = families.load(content["experiments"][path[1]]["family"]).Parameters
    return list(model.model_fields)


def plain(study: Study, only: Sequence[str] | None = None) -> dict[str, Any]:
    """Return a study as plain values that `Study.model_validate` takes, as jobs' parameters."""
    written = study.model_dump(mode="json", exclude_unset=True)
    if only is not None:
        written["experiments"] = {name: written["experiments"][name] for name in only}
    return written


def resolved(study: Study, experiment: str) -> dict[str, Any]:
    """Return the study as far as one experiment is concerned, defaults and all, as plain values."""
    plan = study.experiments[experiment].model_dump(mode="json")
    table = {name: study.regime_table[name].model_dump() for name in study.regimes_of(experiment)}
    return {"experiments": {experiment: plan}, "regimes": table}


if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=2))
