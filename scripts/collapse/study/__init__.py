"""The study file as pydantic models, from which its JSON schema is made.

A study is one YAML file with named experiments. `load` returns a `Study` or raises
`StudyError`, whose message is one line: the file, the key, what was found, what was expected.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError, WithJsonSchema

from collapse import families, regimes
from collapse.regimes import Regime
from collapse.study import errors, mistakes, published_values, yaml_file
from collapse.study.chain_spec import ChainSpec
from collapse.study.errors import Mistake, StudyError
from collapse.study.experiment import (
    HOUSEKEEPING,
    EitherExperiment,
    Experiment,
    Point,
    Strict,
)
from collapse.study.experiments_by_family import ByFamily
from collapse.study.published_values import PublishedValue
from collapse.study.regime_definition import PARTS, RegimeDefinition, expand, fields_of

__all__ = ["Experiment", "Point", "Study", "StudyError", "json_schema", "load", "resolved"]

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", max_length=100)]
_NAMED = Field(json_schema_extra={"additionalProperties": False})
#: What is expected where pydantic's location of an error ends with one of these tags.
_WORDS = {
    "family": f"one of {', '.join(families.MODULES)}",
    "[key]": "a name of at most 100 letters, digits, - and _ that begins with a letter",
    "constrained-str": "a multiple of the samples n, such as n, 0.5n, tn, n*1.1^(t-1) or n*t^1.5",
}


class Study(Strict):
    """A set of named experiments."""

    experiments: Annotated[
        dict[Name, Annotated[Experiment, ByFamily]], _NAMED, Field(min_length=1)
    ] = Field(description="The experiments, by name.")
    regimes: Annotated[dict[Name, RegimeDefinition], _NAMED] = Field(
        default_factory=dict, description="Regimes that the study defines, by name."
    )
    published: Annotated[
        str | list[PublishedValue] | None,
        Field(
            default=None,
            description="Path of a CSV file of published values to put beside the results, "
            "relative to the study's file.",
        ),
        WithJsonSchema({"type": "string"}),
    ] = None

    @functools.cached_property
    def expansions(self) -> dict[str, dict[str, Regime]]:
        """The regimes that each name stands for: one, or several if a definition has lists."""
        named = {name: {name: regime} for name, regime in regimes.NAMED.items()}
        return named | {name: expand(name, each) for name, each in self.regimes.items()}

    @property
    def regime_fields(self) -> dict[str, dict[tuple[str, ...], list[Any]]]:
        """The values of the fields of each regime that the study defines, by their keys."""
        return {name: fields_of(definition) for name, definition in self.regimes.items()}

    @property
    def published_values(self) -> list[PublishedValue]:
        """The published values that the study's file has beside it."""
        return [] if self.published is None or isinstance(self.published, str) else self.published

    @property
    def compared(self) -> list[str]:
        """Names of the experiments with published values, of their families or of the study."""
        own = {value.experiment for value in self.published_values}
        return [
            name
            for name, experiment in self.experiments.items()
            if name in own or families.load(experiment.family).published
        ]

    def regimes_of(self, experiment: str) -> list[str]:
        """Return the names of the regimes of an experiment."""
        written = self.experiments[experiment].regimes
        return [name for each in written for name in self.expansions[each]]

    def named_regimes_of(self, experiment: str) -> dict[str, Regime]:
        """Return the regimes of an experiment by name."""
        return {name: self.regime_table[name] for name in self.regimes_of(experiment)}

    @functools.cached_property
    def regime_table(self) -> dict[str, Regime]:
        """All regimes, by name."""
        return {name: each for group in self.expansions.values() for name, each in group.items()}

    @functools.cached_property
    def cells(self) -> dict[str, dict[str, Point]]:
        """The points of every experiment, by name."""
        return {
            name: {point.name: point for point in experiment.points()}
            for name, experiment in self.experiments.items()
        }

    def chain(self, experiment: str, point: str, regime: str) -> ChainSpec:
        """Return the specification of one chain."""
        described = self.experiments[experiment]
        cell = self.cells[experiment][point]
        parameters = families.load(described.family).parameters(**cell.parameters)
        return ChainSpec(
            experiment=experiment,
            point=point,
            regime_name=regime,
            regime=self.regime_table[regime],
            family=described.family,
            parameters=parameters.model_dump(),
            samples=cell.samples,
            iterations=described.iterations,
            evaluated=described.evaluated,
        )

    def layout(self, experiment: str) -> dict[str, Any]:
        """Return the family, the axes and the other coordinates of an experiment's dataset."""
        described = self.experiments[experiment]
        return {
            "family": described.family,
            "axes": described.all_axes,
            "regimes": self.regimes_of(experiment),
            "seeds": described.seed_list,
            "iterations": described.evaluated,
            "models": {name: one.models for name, one in self.named_regimes_of(experiment).items()},
        }

    def chains(self, experiment: str) -> Iterator[ChainSpec]:
        """Yield the specification of every chain of an experiment."""
        for point in self.cells[experiment]:
            for regime in self.regimes_of(experiment):
                yield self.chain(experiment, point, regime)


def load(path: str | Path) -> Study:
    """Read and check a study file.

    Raises
    ------
    StudyError
        If it can't be read or has a mistake; the message is one line.
    """
    document = yaml_file.read(Path(path))
    named = document.content.get("published") if isinstance(document.content, dict) else None
    if not isinstance(named, str | None):
        raise document.error(Mistake(("published",), named, "the path of a file"))
    study = checked(document.content, document.error)
    if named is None:
        return study
    values = published_values.read(Path(path).parent / named, study)
    return study.model_copy(update={"published": values})


def checked(content: Any, described: Callable[[Mistake], StudyError]) -> Study:
    """Return a study of plain values that has no mistake.

    Parameters
    ----------
    content : object
        The content of a study file.
    described : callable
        Describes a mistake in one line, and where it is; the error is raised.
    """
    try:
        study = Study.model_validate(content)
    except ValidationError as error:
        raise described(errors.explain(error, content, _known_keys, _WORDS)) from None
    for mistake in mistakes.mistakes(study):
        raise described(mistake)
    return study


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of the study file, for editors."""
    return Study.model_json_schema()


def _known_keys(path: tuple[Any, ...], content: Any) -> list[str]:
    """Return the known keys of the mapping in which an unknown key was found."""
    model: type[BaseModel] = EitherExperiment if path else Study
    if path[:1] == ("regimes",):
        model = PARTS.get(path[2], Regime) if len(path) > 2 else Regime
    elif path[2:] in (("grid",), ("settings",)):
        model = families.load(content["experiments"][path[1]]["family"]).parameters
    return list(model.model_fields)


def plain(study: Study) -> dict[str, Any]:
    """Return a study as plain values for `Study.model_validate`."""
    return study.model_dump(mode="json", exclude_unset=True)


def of_results(study: Study, only: Sequence[str]) -> dict[str, Any]:
    """Return what the results of some experiments depend on, as plain values for `Study`.

    Regimes that none of them has are left out, and so are `HOUSEKEEPING` keys.
    """
    written = plain(study)
    chosen = {name: written["experiments"][name] for name in only}
    for name, experiment in chosen.items():
        chosen[name] = {key: experiment[key] for key in experiment if key not in HOUSEKEEPING}
    used = {regime for experiment in chosen.values() for regime in experiment["regimes"]}
    defined = {name: each for name, each in written.get("regimes", {}).items() if name in used}
    return {"experiments": chosen, "regimes": defined}


def resolved(study: Study, experiment: str) -> dict[str, Any]:
    """Return one experiment and its regimes as plain values, with all defaults filled in."""
    described = study.experiments[experiment].model_dump(mode="json")
    table = {name: study.regime_table[name].model_dump() for name in study.regimes_of(experiment)}
    return {"experiments": {experiment: described}, "regimes": table}
