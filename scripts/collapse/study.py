"""The study file: what a user writes, as pydantic models. The only schema there is.

A study is one YAML file with named experiments. `load` returns a `Study` or raises
`StudyError`, whose message is one line: file, key, what was found, what was expected.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Union

import numpy as np
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    create_model,
)
from pydantic.fields import FieldInfo

from collapse import families, regimes, study_errors
from collapse.chain import ChainSpec
from collapse.regimes import Regime
from collapse.seeding import REAL
from collapse.study_errors import Mistake, StudyError

__all__ = ["Experiment", "Point", "Study", "StudyError", "json_schema", "load", "resolved"]

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", strict=True)]
Count = Annotated[int, Field(strict=True, ge=1)]
Seed = Annotated[int, Field(strict=True, ge=0)]

#: Names that stand for something else among the results.
RESERVED = ("figures", "tables", "report")


class Point(NamedTuple):
    """A cell of an experiment's parameter grid: its name in paths, and its values."""

    name: str
    parameters: dict[str, Any]
    samples: int


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _one_or_list(annotation: Any) -> Any:
    """Return the type of an axis: a value, or a list of different values."""
    return Annotated[
        list[annotation],
        BeforeValidator(_as_list, json_schema_input_type=annotation | list[annotation]),
        Field(min_length=1),
    ]


def _annotation(field: FieldInfo) -> Any:
    """Return the type of a field with its constraints."""
    return Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation


class Experiment(BaseModel):
    """A family, its parameter grid, regimes, iterations and seeds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: str = Field(description="What is fitted.")
    regimes: Annotated[list[str], Field(min_length=1)] = Field(
        description="Names of regimes: the papers' " + ", ".join(regimes.NAMED) + ", or those "
        "that this study defines.",
    )
    iterations: Count = Field(
        description="Model-fitting iterations T; iteration 1 is on real data."
    )
    seeds: Count | Annotated[list[Seed], Field(min_length=1)] = Field(
        description="How many seeds (0, 1, ...), or a list of them."
    )
    samples: _one_or_list(Count) = Field(  # type: ignore[valid-type]
        description="Samples n per iteration: a number or a list, an axis like those of the grid."
    )
    grid: Any = Field(default=None, description="Parameters of the family, each a value or a list.")
    evaluations: Count | None = Field(
        default=None,
        description="Evaluate this many logarithmically spaced iterations instead of all.",
    )

    @property
    def seed_list(self) -> list[int]:
        """The seeds themselves."""
        return list(range(self.seeds)) if isinstance(self.seeds, int) else list(self.seeds)

    @property
    def axes(self) -> dict[str, list[Any]]:
        """The axes of the grid that the study names, in its order; samples come last."""
        named = {key: getattr(self.grid, key) for key in self.grid.given}
        return {**named, "samples": self.samples}

    @property
    def all_axes(self) -> dict[str, list[Any]]:
        """The axes of the results: those named, and the family's others at their default."""
        fields = families.load(self.family).Parameters.model_fields
        defaults = {
            key: [field.default]
            for key, field in fields.items()
            if not (field.json_schema_extra or {}).get("variant")
        }
        return {**defaults, **self.axes}

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
            name = ",".join(f"{key}={text(value)}" for key, value in cell.items())
            points.append(Point(name, cell, cell.pop("samples")))
        return points


def text(value: Any) -> str:
    """Write a value as it appears in the names of points and regimes."""
    return str(value).lower() if isinstance(value, bool) else str(value).replace("*", "x")


class _Grid(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @property
    def given(self) -> list[str]:
        """The keys that the study names, in its order."""
        return list(self.model_dump(exclude_unset=True))


def _experiment_model(family: str) -> Any:
    """Build the schema of one family's experiments from its `Parameters`."""
    title = "".join(part.title() for part in family.split("_"))
    fields = families.load(family).Parameters.model_fields
    grid = create_model(  # type: ignore[call-overload]
        f"{title}Grid",
        __base__=_Grid,
        **{
            key: (
                _one_or_list(_annotation(field)),
                Field(default=[field.default], description=field.description),
            )
            for key, field in fields.items()
        },
    )
    return create_model(
        f"{title}Experiment",
        __base__=Experiment,
        family=(Literal[family], Field(description="What is fitted.")),
        grid=(
            grid,
            Field(default_factory=grid, description=Experiment.model_fields["grid"].description),
        ),
    )


#: A regime of the study's own; a field that is a list stands for several regimes.
RegimeDefinition: Any = create_model(  # type: ignore[call-overload]
    "RegimeDefinition",
    __config__=ConfigDict(extra="forbid", frozen=True),
    __doc__="A regime: what iteration t >= 2 trains on. A field may be a list, which defines "
    "one regime for each combination, named <name>,<field>=<value>.",
    **{
        key: (
            _one_or_list(_annotation(field)),
            Field(description=field.description)
            if field.is_required()
            else Field(default=[field.default], description=field.description),
        )
        for key, field in Regime.model_fields.items()
    },
)

AnyExperiment = Annotated[
    Union[tuple(_experiment_model(family) for family in families.MODULES)],
    Field(discriminator="family"),
]


class Study(BaseModel):
    """A set of named experiments."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    experiments: Annotated[dict[Name, AnyExperiment], Field(min_length=1)] = Field(  # type: ignore[valid-type]
        description="The experiments, by name."
    )
    regimes: dict[Name, RegimeDefinition] = Field(
        default_factory=dict, description="Regimes beyond those of the papers, by name."
    )

    @functools.cached_property
    def regime_table(self) -> dict[str, Regime]:
        """Every regime an experiment may name."""
        table = dict(regimes.NAMED)
        for name, definition in self.regimes.items():
            table.update(_expand(name, definition))
        return table

    def regimes_of(self, experiment: str) -> list[str]:
        """Return the regimes of an experiment; a name defined with lists stands for its regimes."""
        names: list[str] = []
        for name in self.experiments[experiment].regimes:
            names.extend(_expand(name, self.regimes[name]) if name in self.regimes else [name])
        return names

    def chain(self, experiment: str, point: str, regime: str) -> ChainSpec:
        """Return what the numbers of one chain depend on."""
        plan = self.experiments[experiment]
        cell = self._points(experiment)[point]
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
        for point, regime in itertools.product(
            self._points(experiment), self.regimes_of(experiment)
        ):
            yield self.chain(experiment, point, regime)

    def _points(self, experiment: str) -> dict[str, Point]:
        cache = self.__dict__.setdefault("_point_cache", {})
        if experiment not in cache:
            cache[experiment] = {p.name: p for p in self.experiments[experiment].points()}
        found: dict[str, Point] = cache[experiment]
        return found


def _expand(name: str, definition: Any) -> dict[str, Regime]:
    """Return the regimes that a definition stands for, by name."""
    fields = {key: getattr(definition, key) for key in Regime.model_fields}
    expanded = {}
    for values in itertools.product(*fields.values()):
        chosen = dict(zip(fields, values, strict=True))
        varied = [f",{key}={text(chosen[key])}" for key in fields if len(fields[key]) > 1]
        expanded[name + "".join(varied)] = Regime(**chosen)
    return expanded


def load(path: str | Path) -> Study:
    """Read and check a study file.

    Raises
    ------
    StudyError
        With one line: file and line, key, what was found, what was expected.
    """
    document = study_errors.read(Path(path))
    try:
        study = Study.model_validate(document.content)
    except ValidationError as error:
        raise document.explain(error, _known_keys) from None
    for mistake in _mistakes(study):
        raise document.error(mistake)
    return study


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of the study file, for editors."""
    return Study.model_json_schema()


def _known_keys(path: tuple[Any, ...], content: Any) -> list[str]:
    """List the keys that may stand where an unknown one was found."""
    if not path:
        return list(Study.model_fields)
    if path[0] == "regimes":
        return list(Regime.model_fields)
    if len(path) == 2:
        return list(Experiment.model_fields)
    family = content["experiments"][path[1]]["family"]
    return list(families.load(family).Parameters.model_fields)


def _mistakes(study: Study) -> Iterator[Mistake]:
    """Yield what the types alone can't refuse."""
    for name, definition in study.regimes.items():
        if name in regimes.NAMED or name == REAL:
            yield Mistake(("regimes", name), name, "a name that is not taken")
        for key in Regime.model_fields:
            yield from _repeated(("regimes", name, key), getattr(definition, key))
    known = [*regimes.NAMED, *study.regimes]
    for name, experiment in study.experiments.items():
        here = ("experiments", name)
        if name in RESERVED:
            yield Mistake(here, name, f"a name other than {', '.join(RESERVED)}")
        for index, regime in enumerate(experiment.regimes):
            if regime not in known:
                yield Mistake((*here, "regimes", index), regime, study_errors.one_of(known, regime))
        yield from _repeated((*here, "regimes"), experiment.regimes)
        yield from _repeated((*here, "seeds"), experiment.seed_list)
        for key, values in experiment.axes.items():
            place = ("samples",) if key == "samples" else ("grid", key)
            yield from _repeated((*here, *place), values)
        yield from _impossible(study, name, experiment)


def _repeated(path: tuple[Any, ...], values: list[Any]) -> Iterator[Mistake]:
    for index, value in enumerate(values):
        if value in values[:index] and type(value) is type(values[values.index(value)]):
            yield Mistake((*path, index), value, "values that differ")


def _impossible(study: Study, name: str, experiment: Experiment) -> Iterator[Mistake]:
    family = families.load(experiment.family)
    for index, n in enumerate(experiment.samples):
        if n < family.MINIMUM_SAMPLES:
            least = f"at least {family.MINIMUM_SAMPLES} for the family {experiment.family}"
            yield Mistake(("experiments", name, "samples", index), n, least)
        for regime in study.regimes_of(name):
            try:
                study.regime_table[regime].check(experiment.iterations, n, family.MINIMUM_SAMPLES)
            except ValueError as error:
                path = ("experiments", name, "regimes", regime)
                yield Mistake(path, str(error), "a training set that the pool can provide")


def plain(study: Study, only: Sequence[str] | None = None) -> dict[str, Any]:
    """Return a study as plain values that `Study.model_validate` takes, as jobs' parameters."""
    written = study.model_dump(mode="json", exclude_unset=True)
    if only is not None:
        written["experiments"] = {name: written["experiments"][name] for name in only}
    return written


def resolved(study: Study, experiment: str) -> dict[str, Any]:
    """Return the study as far as one experiment is concerned, defaults and all, as plain values."""
    plan = study.experiments[experiment]
    table = {name: study.regime_table[name].model_dump() for name in study.regimes_of(experiment)}
    return {"experiments": {experiment: plan.model_dump(mode="json")}, "regimes": table}
