"""Describe mistakes in a study in one line: the key, what was found, what was expected."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import yaml
from pydantic import ValidationError

from collapse.errors import OneLineError

Key = tuple[Any, ...]

#: What was expected of a value of the wrong type, by pydantic's type of error.
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

#: What was expected of a value of the right type, by pydantic's type of error.
_BOUNDS = {
    "finite_number": "a finite number",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "too_short": "at least {min_length} entry",
}


class StudyError(OneLineError):
    """A mistake in a study file, described in one line."""


class Mistake(NamedTuple):
    """A mistake: the path of its key, what was found, what was expected, and its rank.

    Of several mistakes, one of the lowest rank is reported: an unknown key (0) may be a misspelt
    missing one (3), and a value out of bounds (1) has the right type of a union, not another (2).
    """

    path: Key
    found: Any
    expected: str
    rank: int = 0


class Words(str):
    """A description of what was found, shown instead of a value."""

    __slots__ = ()


def one_of(known: Iterable[str], found: object) -> str:
    """List the known names, and suggest the one that was probably meant."""
    names = list(known)
    close = difflib.get_close_matches(str(found), names, n=1)
    several = "one of " if len(names) > 1 else ""
    return f"{several}{', '.join(names)}" + (f" (did you mean {close[0]}?)" if close else "")


def shown(value: Any, width: int = 80) -> str:
    """Write a value as one line of YAML, cut off at a width."""
    if isinstance(value, Words):
        written, width = str(value), 2 * width
    else:
        written = yaml.safe_dump(
            value, default_flow_style=True, allow_unicode=True, width=10**9, sort_keys=False
        ).removesuffix("...\n")
    line = " ".join(written.split())
    return line if len(line) <= width else line[: width - 3] + "..."


def shown_path(path: Key) -> str:
    """Write the path of a key, such as ``experiments.name.samples[0]``."""
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
    """Return the first mistake of the lowest rank among those that pydantic found.

    Parameters
    ----------
    error : ValidationError
        Pydantic's error from validating the content.
    content : object
        The content of the file.
    known_keys : callable
        Takes the path of a mapping and the content; returns the keys that it may have.
    words : mapping of str to str
        What was expected where pydantic's location ends with a tag, by tag.
    """
    mistakes = [
        _mistake(problem, content, known_keys, words) for problem in error.errors(include_url=False)
    ]
    rank = min(each.rank for each in mistakes)
    telling = [each for each in mistakes if each.rank == rank]
    # If an entry of a list is wrong, pydantic also reports that the list is no single value.
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
        # Pydantic's location turns a key that is no string into one.
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
    """Return the part of pydantic's location that is in the file, without the tags of unions."""
    path = []
    for part in location:
        if (isinstance(content, dict) and part in content) or (
            isinstance(content, list) and isinstance(part, int) and part < len(content)
        ):
            content = content[part]
            path.append(part)
    return tuple(path)
