"""Tables of the documentation that are made of the code: keys, parameters, metrics, regimes.

`TABLES` names the functions, which return Markdown. In a page,

    ```{generated} parameters gaussian
    ```

stands for what ``TABLES["parameters"]("gaussian")`` returns when the site is built.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any

from pydantic import BaseModel

from collapse import families
from collapse.families.declarations import extra_of
from collapse.regimes import NAMED, Regime
from collapse.study.experiment import Experiment, IterativeExperiment

#: What may be under a key whose values are parameters of the family.
PARAMETERS = "parameters of the family"
#: What a bound of a number or a list is called.
BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
}
#: Bounds from here on only keep numbers within what computers count, and are not shown.
LARGEST = 10**9
#: Number of samples and of iterations of the chains of which theory is listed.
SAMPLES, ITERATIONS = 100, 5


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; a cell may hold anything but a line break."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def kind(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    """Return what values a JSON schema allows, in words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        found = definitions[name]
        return f"keys of `{name}`" if found.get("type") == "object" else kind(found, definitions)
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(kind(one, definitions) for one in schema["anyOf"]))
    if "const" in schema:
        return literal(schema["const"])
    if "enum" in schema:
        return ", ".join(literal(value) for value in schema["enum"])
    of = schema.get("type")
    if of == "array":
        return f"a list of: {kind(schema['items'], definitions)}"
    if of == "object":
        return "names with their values"
    limits = [(word, schema[key]) for key, word in BOUNDS.items() if key in schema]
    bounds = [word.format(limit) for word, limit in limits if limit < LARGEST]
    words = {"integer": "integer", "number": "number", "boolean": "`true`, `false`"}
    words |= {"null": "`null`", "string": "formula" if "pattern" in schema else "text"}
    return ", ".join([words.get(str(of), PARAMETERS), *bounds])


def prose(text: str) -> str:
    """Escape a text in which Markdown has no meaning."""
    return re.sub(r"([<*$\\`\[\]])", r"\\\1", text)


def literal(value: Any) -> str:
    """Return a value as a study file has it."""
    if isinstance(value, BaseModel):
        value = value.model_dump(exclude_defaults=True)
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"`{shown}`" if shown.strip() else f"`{json.dumps(shown)}`"


def keys(model: type[BaseModel], without: Iterable[str] = ()) -> str:
    """Return a table of the keys of a model: what they may be, their defaults, what they mean."""
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    parts = [_keys(schema, definitions, set(without))]
    for name, definition in definitions.items():
        if definition.get("type") == "object" and definition.get("properties"):
            first = definition.get("description", "").partition("\n\n")[0]
            parts += [f"**`{name}`**: {prose(first)}", _keys(definition, definitions)]
    return "\n\n".join(parts)


def _keys(schema: dict[str, Any], definitions: dict[str, Any], without: Container[str] = ()) -> str:
    needed = schema.get("required", [])
    rows = []
    for name, described in schema["properties"].items():
        values = kind(described, definitions)
        default = "needed" if name in needed else literal(described.get("default"))
        shown = "none" if values == PARAMETERS else default
        if name not in without:
            rows.append([f"`{name}`", values, shown, prose(described.get("description", ""))])
    return table(["key", "values", "default", "meaning"], rows)


def experiment() -> str:
    """Return the keys that every experiment has."""
    return keys(Experiment)


def by_steps() -> str:
    """Return the keys of experiments whose steps are jobs with files."""
    return keys(IterativeExperiment, without=Experiment.model_fields)


def regime_keys() -> str:
    """Return the keys of a regime."""
    return keys(Regime)


def regimes() -> str:
    """Return the regimes that every study may name, with their keys."""
    fields = [
        key
        for key, field in Regime.model_fields.items()
        if any(getattr(regime, key) != field.default for regime in NAMED.values())
    ]
    rows = [
        [f"`{name}`", *(literal(getattr(regime, key)) for key in fields)]
        for name, regime in NAMED.items()
    ]
    return table(["regime", *fields], rows)


def overview() -> str:
    """Return a table of all families."""
    rows = []
    for name in families.MODULES:
        family = families.load(name)
        ways = ["in closed form"] if family.closed_form else []
        ways += (
            ["by steps, on GPUs" if family.wants_gpu else "by steps"] if family.iterative else []
        )
        headline = family.metrics[family.headline.metric].long_name
        rows.append([f"[{name}](../families/{name}.md)", headline, " or ".join(ways)])
    return table(["family", "what a chain is summarised by", "runs"], rows)


def parameters(name: str) -> str:
    """Return the parameters of a family."""
    model = families.load(name).parameters
    schema = model.model_json_schema()
    rows, axes = [], []
    for key, field in model.model_fields.items():
        described, extra = schema["properties"][key], extra_of(field)
        rows.append(
            [
                f"`{key}`",
                kind(described, schema.get("$defs", {})),
                literal(described.get("default")),
                str(extra.get("stage", "training")),
                prose(field.description or ""),
            ]
        )
        if not extra.get("optional_axis"):
            axes.append(f"`{key}`")
    head = ["parameter", "values", "default", "matters from", "meaning"]
    return f"Axes of the results of every study: {', '.join(axes)}.\n\n{table(head, rows)}"


def metrics(name: str) -> str:
    """Return the metrics of a family."""
    rows = [
        [f"`{key}`", prose(metric.long_name), metric.units, prose(metric.comment)]
        for key, metric in families.load(name).metrics.items()
    ]
    return table(["metric", "what it is", "units", "to know"], rows)


def headline(name: str) -> str:
    """Return how a chain of a family is summarised."""
    declared = families.load(name).headline
    change = "a share of its first value"
    if declared.scale == "log":
        change = "a difference of natural logarithms"
    return (
        f"A chain is summarised by `{declared.metric}`, of which {declared.worse} is worse. It "
        f"counts as stable if it changes by at most {declared.stable:g}, as {change}. "
        f"{declared.meaning}"
    )


def scores(name: str) -> str:
    """Return the scores of a family by which regimes may select or weigh samples."""
    declared = families.load(name).scores
    rows = [[f"`{key}`", prose(score.description), score.better] for key, score in declared.items()]
    if not rows:
        return "The family has no score of single samples, by which a regime could select them."
    return table(["score", "what it measures", "better"], rows)


def theory(name: str) -> str:
    """Return which metrics theory knows under the named regimes, with the derivations."""
    family = families.load(name)
    rows = []
    for regime, value in NAMED.items():
        found = family.expectations(family.parameters(), value, SAMPLES, ITERATIONS)
        for metric, one in found.items():
            spread = one.spread if one.deviation is not None else "none"
            kinds = ["exact" if one.exact else "approximate", spread]
            rows.append([f"`{regime}`", f"`{metric}`", *kinds, linked(one.source)])
    if not rows:
        return "There is no theory of this family under the named regimes."
    return table(["regime", "metric", "mean", "spread over seeds", "derivation"], rows)


def linked(source: str) -> str:
    """Return the source of an expectation with a link to its page, as seen from a page's folder."""
    page, number = re.fullmatch(r"docs/(theory/\w+\.md), eq\. \((\d+)\)", source).groups()  # type: ignore[union-attr]
    return f"[{page.removeprefix('theory/').removesuffix('.md')}, eq. ({number})](../{page})"


def published(name: str) -> str:
    """Return the published values that results of a family are compared with."""
    rows = [
        [
            f"`{one.metric}`",
            f"`{one.regime}`" if one.regime else "any",
            str(one.iteration),
            f"{one.value:g}",
            ", ".join(f"{key} {literal(value)}" for key, value in one.conditions.items()),
            one.source,
        ]
        for one in families.load(name).published
    ]
    if not rows:
        return "No published values are declared, with which results would be compared."
    return table(["metric", "regime", "t", "value", "conditions", "source"], rows)


TABLES: dict[str, Callable[..., str]] = {
    "experiment": experiment,
    "by-steps": by_steps,
    "regime-keys": regime_keys,
    "regimes": regimes,
    "families": overview,
    "parameters": parameters,
    "metrics": metrics,
    "headline": headline,
    "scores": scores,
    "theory": theory,
    "published": published,
}
