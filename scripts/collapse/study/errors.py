"""Saying in one line what is wrong with a study: where, what was found, what was expected."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import yaml
from pydantic import ValidationError

Key = tuple[Any, ...]

#: What pydantic's types of error say was expected of a value of another type.
_TYPES = {
    "int_type": "an integer",
    "float_type": "a number",
    "string_type": "a string",
    "bool_type": "true or false",
    "list_type": "a list",
    "none_required": "null",
    "dict_type": "keys and values",
    "model_type": "keys and values",
    "model_attributes_type": "keys and values",
}

#: The same of a value of the right type.
_BOUNDS = {
    "finite_number": "a finite number",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "too_short": "at least {min_length} entry",
}


class StudyError(ValueError):
    """A mistake in a study file, described in one line."""


class Mistake(NamedTuple):
    """Where, what was found, and what was expected there; of several, the lowest rank tells most.

    An unknown key (0) may be why another is missing (3), and a value out of bounds (1) need
    not be told of the other types that it could have had (2).
    """

    path: Key
    found: Any
    expected: str
    rank: int = 0


class Words(str):
    """What was found, in words instead of as a value."""

    __slots__ = ()


def one_of(known: Iterable[str], found: object) -> str:
    """Say which names are known, and which of them was probably meant."""
    names = list(known)
    close = difflib.get_close_matches(str(found), names, n=1)
    several = "one of " if len(names) > 1 else ""
    return f"{several}{', '.join(names)}" + (f" (did you mean {close[0]}?)" if close else "")


def shown(value: Any, width: int = 80) -> str:
    """Write a value in one line, as it stands in a YAML file."""
    if isinstance(value, Words):
        written, width = str(value), 2 * width
    else:
        written = yaml.safe_dump(
            value, default_flow_style=True, allow_unicode=True, width=10**9, sort_keys=False
        ).removesuffix("...\n")
    line = " ".join(written.split())
    return line if len(line) <= width else line[: width - 3] + "..."


def shown_path(path: Key) -> str:
    """Write the path of a key: ``experiments.name.samples[0]``."""
    written = "".join(
        f"[{part}]" if type(part) is int and index > 1 else f".{shown(part, 40)}"
        for index, part in enumerate(path)
    )
    return written.removeprefix(".") or "the file"


def explain(
    error: ValidationError,
    content: Any,
    known_keys: Callable[[Key, Any], Iterable[str]],
    words: Mapping[str, str],
) -> Mistake:
    """Return the most telling of the problems that pydantic found, the first of them.

    Parameters
    ----------
    error : ValidationError
        From validating the content.
    content : object
        What stands in the file.
    known_keys : callable
        Given the path of a mapping and the content, the keys it may have.
    words : mapping of str to str
        What was expected where pydantic's location ends with such a tag.
    """
    mistakes = [
        _mistake(problem, content, known_keys, words) for problem in error.errors(include_url=False)
    ]
    rank = min(each.rank for each in mistakes)
    telling = [each for each in mistakes if each.rank == rank]
    # A list with a wrong entry is not also wrong for being a list.
    parents = {each.path[:depth] for each in telling for depth in range(len(each.path))}
    first = next(each for each in telling if each.path not in parents)
    expected = dict.fromkeys(each.expected for each in telling if each.path == first.path)
    return first._replace(expected=" or ".join(expected))


def _mistake(
    problem: Any,
    content: Any,
    known_keys: Callable[[Key, Any], Iterable[str]],
    words: Mapping[str, str],
) -> Mistake:
    kind, location, found = problem["type"], problem["loc"], problem["input"]
    context = problem.get("ctx", {})
    tag: Any = location[-1] if location else None
    path = _resolve(location, content)
    if kind == "invalid_key" or tag == "[key]":
        # Where a key is no string, pydantic's location has it as one.
        path = (*_resolve(location[: -1 if kind == "invalid_key" else -2], content), found)
    if kind in ("extra_forbidden", "invalid_key"):
        return Mistake(
            path, Words("an unknown key"), one_of(known_keys(path[:-1], content), path[-1])
        )
    if kind == "missing":
        return Mistake((*path, location[-1]), Words("nothing"), "this key", rank=3)
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        key = context["discriminator"].strip("'")
        tag = found.get(key, Words("nothing"))
        tags = _quoted(context.get("expected_tags", ""))
        expected = one_of(tags, tag) if tags else words.get(key, "this key")
        return Mistake((*path, key), tag, expected, rank=2)
    if kind in _BOUNDS:
        return Mistake(path, found, _BOUNDS[kind].format(**context), rank=1)
    if tag in words:
        expected = words[tag]
    elif kind == "literal_error":
        expected = one_of(_quoted(context["expected"]), found)
    else:
        message = problem["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
        expected = _TYPES.get(kind, message)
    return Mistake(path, found, expected, rank=2)


def _quoted(names: str) -> list[str]:
    return re.findall(r"'([^']*)'", names)


def _resolve(location: Key, content: Any) -> Key:
    """Keep of pydantic's location what is in the file: not the tags of unions."""
    path = []
    for part in location:
        if (isinstance(content, dict) and part in content) or (
            isinstance(content, list) and isinstance(part, int) and part < len(content)
        ):
            content = content[part]
            path.append(part)
    return tuple(path)
