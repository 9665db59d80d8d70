"""Finding a study file and reading its YAML, in which every key knows its line."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from collapse.study.errors import Key, Mistake, StudyError, Words, one_of, shown, shown_path

#: Snakemake's configuration: where it is, and its keys.
SOURCE, KEYS = "config/config.yaml or --config", ("study", "environments")

#: Jobs whose conda environments differ: those of neural families, and all others.
KINDS = ("neural", "other")


class Document(NamedTuple):
    """A YAML file: its path, its content, and its nodes, which know their lines."""

    path: Path
    content: Any
    root: yaml.Node | None

    def error(self, mistake: Mistake) -> StudyError:
        """Describe a mistake in one line."""
        return StudyError(
            f"{self.path}:{self._line(mistake.path)}: {shown_path(mistake.path)}: "
            f"found {shown(mistake.found)}, expected {mistake.expected}"
        )

    def _line(self, path: Key) -> int:
        """Return the line of a path, or of as much of it as is in the file."""
        node = self.root
        line = node.start_mark.line if node else 0
        for part in path:
            same = [
                each
                for each in _children(node)
                if (each.name, type(each.name)) == (part, type(part))
            ]
            if not same:
                break
            # The last of two: where a merged key is overridden, it comes later.
            line, node = same[-1].line, same[-1].value
        return line + 1


def find(config: Mapping[str, Any], folders: Sequence[str | Path]) -> Path:
    """Return the path of the study that Snakemake's configuration names.

    Parameters
    ----------
    config : mapping
        Snakemake's configuration; its only key is ``study``.
    folders : sequence of path
        Where to look for a relative path, the first of them first.

    Raises
    ------
    StudyError
        If the configuration has another key or no study, or the study is in none of the folders.
    """
    for key in config:
        if key not in KEYS:
            expected = one_of(KEYS, key)
            raise StudyError(f"{SOURCE}: {shown(key)}: found an unknown key, expected {expected}")
    named = config.get("study")
    if not isinstance(named, str):
        raise StudyError(f"{SOURCE}: study: found {shown(named)}, expected the path of a study")
    for folder in folders:
        path = Path(folder, os.path.expanduser(named))
        if os.path.exists(path):
            return path
    looked = ", ".join(dict.fromkeys(str(Path(folder).absolute()) for folder in folders))
    raise StudyError(
        f"{SOURCE}: study: found {shown(named)}, expected the path of a study (looked in {looked})"
    )


def environments(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the conda environments that Snakemake's configuration names, by `KINDS` of jobs.

    Raises
    ------
    StudyError
        If it names none, or others.
    """
    found = config.get("environments")
    if not isinstance(found, Mapping) or set(found) != set(KINDS):
        raise StudyError(
            f"{SOURCE}: environments: found {shown(found)}, expected {' and '.join(KINDS)}"
        )
    for kind, named in found.items():
        if not isinstance(named, str):
            raise StudyError(
                f"{SOURCE}: environments: {kind}: found {shown(named)}, expected a file or a name"
            )
    return dict(found)


def read(path: Path) -> Document:
    """Read a YAML file.

    Raises
    ------
    StudyError
        If it can't be read, isn't YAML, or repeats a key.
    """
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise StudyError(f"{path}: found nothing readable ({reason}), expected a study") from None
    try:
        loader = _Loader(source)
        root = loader.get_single_node()
        for mistake in _repeated_keys(root):
            raise Document(path, None, root).error(mistake)
        content = loader.construct_document(root) if root else None
        return Document(path, {} if content is None else content, root)
    except yaml.MarkedYAMLError as error:
        start, mark = error.context_mark, error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        since = f" in line {start.line + 1}" if start and mark and start.line != mark.line else ""
        reason = " ".join(f"{error.context or ''}{since} {error.problem or ''}".split())
    except yaml.reader.ReaderError as error:
        line = f":{source.count(chr(10), 0, error.position) + 1}"
        reason = f"the character {chr(error.character)!a}"
    except RecursionError:
        line, reason = "", "too many levels"
    raise StudyError(
        f"{path}{line}: found a mistake in the YAML ({reason}), expected one YAML document"
    )


class _Child(NamedTuple):
    """An entry of a mapping or a list: its key or index, its line, and its value."""

    name: Any
    line: int
    value: yaml.Node


def _children(node: yaml.Node | None) -> Iterator[_Child]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.tag != "tag:yaml.org,2002:merge":
                name = _Loader("").construct_object(key, deep=True)
                yield _Child(name, key.start_mark.line, value)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield _Child(index, value.start_mark.line, value)


def _repeated_keys(root: yaml.Node | None) -> Iterator[Mistake]:
    """Yield the keys that stand twice in a mapping, of which YAML would keep the last."""
    waiting: list[tuple[Key, yaml.Node | None]] = [((), root)]
    visited = set()
    while waiting:
        path, node = waiting.pop()
        if id(node) in visited:  # a node stands in several places through its aliases
            continue
        visited.add(id(node))
        names = set()
        for child in _children(node):
            name = repr(child.name)
            if name in names:
                yield Mistake((*path, child.name), Words("this key twice"), "it once")
            names.add(name)
            waiting.append(((*path, child.name), child.value))


class _Loader(yaml.SafeLoader):
    """A safe loader that reads 1e-3 as a number and knows the line of a wrong value."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            problem = f"{node.value!r} is no {node.tag.rpartition(':')[2]}"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from None


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)
