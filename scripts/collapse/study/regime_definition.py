"""How a study defines regimes: a field may be a list, which stands for several regimes."""

from __future__ import annotations

import itertools
from typing import Any

from pydantic import BaseModel, Field, create_model

from collapse import families
from collapse.regimes import Population, Regime, Select, Weigh
from collapse.study.experiment import Strict, axes_of
from collapse.study.names import JOINT, text_of

#: The parts of a regime that have fields of their own.
PARTS: dict[str, type[BaseModel]] = {
    "select": Select,
    "weigh": Weigh,
    "population": Population,
}


def _definition(model: type[BaseModel]) -> Any:
    """Return the model of a part of a regime as a study defines it: a field may be a list."""
    name, fields = f"{model.__name__}Definition", axes_of(model)
    if "score" in fields:
        annotation, score = fields["score"]
        listed = Field(score.default, description=score.description, json_schema_extra=_list_scores)
        fields["score"] = annotation, listed
    return create_model(name, __base__=Strict, __doc__=model.__doc__, **fields)


def _list_scores(schema: dict[str, Any]) -> None:
    """Add to a description in the JSON schema the scores of all families, and which are better."""
    listed = []
    for name in families.MODULES:
        declared = families.load(name).scores.items()
        scores = ", ".join(f"{score} ({one.better} is better)" for score, one in declared)
        listed += [f"{name}: {scores}"] if scores else []
    schema["description"] += f" Scores are, of {'; of '.join(listed)}."


_parts: dict[str, Any] = {
    key: (_definition(model) | None, Field(None, description=Regime.model_fields[key].description))
    for key, model in PARTS.items()
}


#: A regime that a study defines; a field that is a list stands for several regimes.
RegimeDefinition: Any = create_model(
    "RegimeDefinition",
    __base__=Strict,
    __doc__="A regime: the rule for what iteration t >= 2 trains on. A field may be a list; this "
    "defines one regime for each combination of values, named <name>__<field>=<value>.",
    **axes_of(Regime, without=PARTS),
    **_parts,
)


def fields_of(definition: Any) -> dict[tuple[str, ...], list[Any]]:
    """Return the values of each field of the definition of a regime, by its keys in the file."""
    fields: dict[tuple[str, ...], list[Any]] = {}
    for key in Regime.model_fields:
        value = getattr(definition, key)
        if key not in PARTS:
            fields[key,] = value
        elif value is not None:
            fields |= {(key, inner): values for inner, values in value}
    return fields


def expand(name: str, definition: Any) -> dict[str, Regime]:
    """Return the regimes that a definition stands for, by name."""
    fields = fields_of(definition)
    expanded = {}
    for values in itertools.product(*fields.values()):
        chosen: dict[str, Any] = {}
        varied = []
        for (key, *inner), value in zip(fields, values, strict=True):
            if inner:
                chosen.setdefault(key, {})[inner[0]] = value
            else:
                chosen[key] = value
            if len(fields[(key, *inner)]) > 1:
                varied.append(f"{JOINT}{'.'.join((key, *inner))}={text_of(value)}")
        expanded[name + "".join(varied)] = Regime(**chosen)
    return expanded
