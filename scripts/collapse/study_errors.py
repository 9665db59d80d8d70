"""Reading a YAML file, and saying in one line what is wrong with it.

A line names the file and line, the key, what was found and what was expected.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import ValidationError

Key = tuple[Any, ...]

#: What pydantic's types of error say was expected, where its own message says it less well.
_EXPECTED = {
    "int_type": "an integer",
    "int_from_float": "an integer",
    "int_parsing": "an integer",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "string_type": "a string",
    "bool_type": "true or false",
    "dict_type": "keys and values",
    "model_type": "keys and values",
    "model_attributes_type": "keys and values",
    "list_type": "a list",
    "none_required": "null",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "too_short": "at least {min_length} of them",
    "literal_error": "{expected}",
    "union_tag_invalid": "one of {expected_tags}",
    "union_tag_not_found": "the key 'family'",
    "missing": "this key",
}


class StudyError(ValueError):
    """A mistake in a study file, described in one line."""


class Mistake(NamedTuple):
    """Where, what was found, and what was expected there."""

    path: Key
    found: Any
    expected: str


def one_of(known: Iterable[str], found: object) -> str:
    """Say which names are known, and which of them was probably meant."""
    names = list(known)
    close = difflib.get_close_matches(str(found), names, n=1)
    return f"one of {', '.join(names)}" + (f" (did you mean {close[0]}?)" if close else "")


class Document(NamedTuple):
    """A YAML file: its path, its content, and its nodes, which know their lines."""

    path: Path
    content: Any
    root: yaml.Node

    def error(self, mistake: Mistake) -> StudyError:
        """Describe a mistake."""
        where = "".join(
            f"[{part}]" if isinstance(part, int) else f".{part}" for part in mistake.path
        ).lstrip(".")
        found = repr(mistake.found)
        found = found if len(found) <= 80 else found[:77] + "..."
        return StudyError(
            f"{self.path}:{self._line(mistake.path)}: {where or 'the file'}: "
            f"found {found}, expected {mistake.expected}"
        )

    def explain(
        self, error: ValidationError, known_keys: Callable[[Key, Any], list[str]]
    ) -> StudyError:
        """Describe the most specific problem that pydantic found."""
        problems = [
            (self._resolve(problem["loc"], problem["type"]), problem)
            for problem in error.errors(include_url=False)
        ]
        path = max((path for path, _ in problems), key=len)
        here = [problem for where, problem in problems if where == path]
        first = here[0]
        if first["type"] == "extra_forbidden":
            expected = one_of(known_keys(path[:-1], self.content), path[-1])
            return self.error(Mistake(path, _Word(f"unknown key {path[-1]!r}"), expected))
        found = _Word("nothing") if first["type"] == "missing" else first["input"]
        expectations = dict.fromkeys(_expected(problem) for problem in here)
        return self.error(Mistake(path, found, " or ".join(expectations)))

    def _resolve(self, location: tuple[Any, ...], kind: str) -> Key:
        """Keep of pydantic's location what is in the file: not the tags of unions."""
        node, path = self.content, []
        for part in location:
            if (isinstance(node, dict) and part in node) or (
                isinstance(node, list) and isinstance(part, int) and part < len(node)
            ):
                node = node[part]
                path.append(part)
        if kind == "missing":
            path.append(location[-1])
        return tuple(path)

    def _line(self, path: Key) -> int:
        node: yaml.Node = self.root
        line = node.start_mark.line
        for part in path:
            children: list[tuple[Any, yaml.Node, yaml.Node]] = []
            if isinstance(node, yaml.MappingNode):
                children = [(key.value, key, value) for key, value in node.value]
            elif isinstance(node, yaml.SequenceNode):
                children = [(index, value, value) for index, value in enumerate(node.value)]
            for name, key, value in children:
                if name == part:
                    line, node = key.start_mark.line, value
                    break
        return line + 1


class _Word(str):
    """A word that is shown as it is, without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _expected(problem: Any) -> str:
    context = problem.get("ctx", {})
    template = _EXPECTED.get(problem["type"])
    if template is not None:
        return template.format(**context)
    message: str = problem["msg"]
    return message.removeprefix("Value error, ").removeprefix("Input should be ")


def read(path: Path) -> Document:
    """Read a YAML file whose top level is a mapping.

    Raises
    ------
    StudyError
        If it can't be read, isn't YAML, repeats a key, or holds no mapping.
    """
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise StudyError(f"{path}: found {reason}, expected a readable study file") from None
    try:
        root = yaml.compose(source, Loader=_Loader)
        content = yaml.load(source, Loader=_Loader)  # noqa: S506 (a safe loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = " ".join(str(error.problem).split())
        raise StudyError(f"{path}:{line}: found {problem}, expected YAML") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise StudyError(f"{path}: found {' '.join(str(error).split())}, expected YAML") from None
    if not isinstance(content, dict) or root is None:
        found = "nothing" if content is None else type(content).__name__
        raise StudyError(f"{path}:1: found {found}, expected the key 'experiments'")
    return Document(path, content, root)


class _Loader(yaml.SafeLoader):
    """A safe loader that refuses a key that stands twice, and reads 1e-3 as a number."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable) or key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key!r} twice" if isinstance(key, Hashable) else "such a key",
                    problem_mark=key_node.start_mark,
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)
