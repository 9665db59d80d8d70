"""The experiments of each family as pydantic models, built from the family's `Parameters`.

A family's model is built when a study first names it, because building those of all families
takes longer than everything else at the start of a job. The JSON schema has all of them.
"""

from __future__ import annotations

import functools
from typing import Annotated, Any, Literal, Union

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter, create_model
from pydantic_core import PydanticKnownError, core_schema

from collapse import families
from collapse.study.experiment import (
    EitherExperiment,
    Experiment,
    IterativeExperiment,
    Strict,
    axes_of,
)


@functools.cache
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
        family=(family_name, Field(description=described["family"].description)),
        grid=(grid, Field(default_factory=grid, description=described["grid"].description)),
        settings=(
            settings,
            Field(default_factory=settings, description=described["settings"].description),
        ),
    )


class ByFamily:
    """Annotates an experiment of any family: the model of the family that it names checks it."""

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Return the schema that checks an experiment, and that writes it with all its fields."""
        return core_schema.no_info_plain_validator_function(
            _checked, serialization=core_schema.simple_ser_schema("any")
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Return the JSON schema of the experiments of all families."""
        models: Any = Union[tuple(experiment_model(family) for family in families.MODULES)]  # noqa: UP007
        either = Annotated[models, Field(discriminator="family")]
        return handler(TypeAdapter(either).core_schema)


def _checked(value: Any) -> Experiment:
    """Return an experiment, checked by the model of the family that it names."""
    if isinstance(value, Experiment):
        return value
    if not isinstance(value, dict):
        raise PydanticKnownError("model_attributes_type")
    if "family" not in value:
        raise PydanticKnownError("union_tag_not_found", {"discriminator": "'family'"})
    family = value["family"]
    if not isinstance(family, str) or family not in families.MODULES:
        tags = ", ".join(repr(known) for known in families.MODULES)
        context = {"discriminator": "'family'", "tag": str(family), "expected_tags": tags}
        raise PydanticKnownError("union_tag_invalid", context)
    checked: Experiment = experiment_model(family).model_validate(value)
    return checked
