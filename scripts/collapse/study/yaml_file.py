"""Find a study file and read its YAML, with the line of every key."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.resolver import VersionedResolver

from collapse.study.errors import Key, Mistake, StudyError, one_of, shown, shown_path

#: Where Snakemake's configuration comes from, and its keys.
SOURCE = "config/config.yaml or --config"
KEYS = ("study", "environments", "job_holds")

#: Its keys for the rule `plan` alone (docs/plan.md).
PLAN_KEYS = ("card", "gpus", "measure")

#: Kinds of jobs, by conda environment: jobs of neural families, and all others.
KINDS = ("neural", "other")

#: What a job of a family that runs by steps may hold.
JOB_HOLDS = ("step", "iteration", "chain")

#: The conda environments of a configuration that names none, as that of a module may.
ENVIRONMENTS = {"neural": "envs/gpu.yaml", "other": "envs/cpu.yaml"}

#: What is said of numbers in the forms of YAML 1.1.
_DIFFERENT = "YAML 1.1 and YAML 1.2 read {} differently"

#: Texts that are numbers in base 60 in YAML 1.1, where 1:30 is 90, or look like these.
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(:[0-9]+)+(\.[0-9_]*)?")

#: The lines of the keys or indices of each mapping or list, by its `id`.
Lines = dict[int, dict[Any, int]]


class Document(NamedTuple):
    """A YAML file: its path, its content, and the lines of all keys and entries of lists."""

    path: Path
    content: Any
    lines: Lines

    def error(self, mistake: Mistake) -> StudyError:
        """Describe a mistake in one line."""
        return StudyError(
            f"{self.path}:{self._line(mistake.path)}: {shown_path(mistake.path)}: "
            f"found {shown(mistake.found)}, expected {mistake.expected}"
        )

    def _line(self, path: Key) -> int:
        """Return the line of a path, or of its longest part that is in the file."""
        here, line = self.content, 1
        for part in path:
            lines = self.lines.get(id(here), {})
            if part not in lines:
                break
            here, line = here[part], lines[part]
        return line


def find(config: Mapping[str, Any], folders: Sequence[str | Path]) -> Path:
    """Return the path of the study that Snakemake's configuration names.

    Parameters
    ----------
    config : mapping
        Snakemake's configuration, with the keys `KEYS` and `PLAN_KEYS`.
    folders : sequence of path
        Folders in which a relative path is looked up, in this order.

    Raises
    ------
    StudyError
        If the configuration has another key or no study, or the study is in none of the folders.
    """
    for key in config:
        if key not in (*KEYS, *PLAN_KEYS):
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
    """Return the conda environments in Snakemake's configuration, by the `KINDS` of jobs.

    Raises
    ------
    StudyError
        If there is not exactly one file or name for each kind.
    """
    found = config.get("environments", ENVIRONMENTS)
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


def job_holds(config: Mapping[str, Any]) -> str | None:
    """Return what jobs of families by steps hold, if Snakemake's configuration says it.

    Raises
    ------
    StudyError
        If it is another value than one of `JOB_HOLDS`.
    """
    found = config.get("job_holds")
    if found is not None and found not in JOB_HOLDS:
        expected = one_of(JOB_HOLDS, found)
        raise StudyError(f"{SOURCE}: job_holds: found {shown(found)}, expected {expected}")
    return found


def read(path: Path) -> Document:
    """Read a YAML file.

    Raises
    ------
    StudyError
        If it can't be read, is no YAML, or repeats a key.
    """
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise StudyError(f"{path}: found nothing readable ({reason}), expected a study") from None
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor, yaml.Resolver = _Constructor, _Resolver
    expected = "one YAML document"
    try:
        content = yaml.load(source)
        return Document(path, {} if content is None else content, yaml.constructor.lines)
    except MarkedYAMLError as error:
        start, mark = error.context_mark, error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        since = f" in line {start.line + 1}" if start and mark and start.line != mark.line else ""
        reason = " ".join(f"{error.context or ''}{since} {error.problem or ''}".split())
        expected = error.note or expected
    except ReaderError as error:
        line = f":{source.count(chr(10), 0, error.position) + 1}"
        reason = f"the character {chr(error.character)!a}"
    except RecursionError:
        line, reason = "", "it has too many levels"
    raise StudyError(f"{path}{line}: found a mistake in the YAML ({reason}), expected {expected}")


class _Resolver(VersionedResolver):
    """A resolver that reads every file as YAML 1.2, in which n and yes are strings."""

    processing_version = (1, 2)


# ruamel.yaml reads .1e+1 as a number but not .1e1, which is one in YAML 1.2 too.
_Resolver.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\.[0-9]+[eE][0-9]+$"), list("-+.")
)


class _Constructor(SafeConstructor):
    """A constructor of dictionaries and lists that remembers the lines of their entries.

    The types with lines that ruamel.yaml has itself do not always pass pydantic as dictionaries
    and lists.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.lines: Lines = {}
        #: The paths of nodes in mappings, by their `id`.
        self.paths: dict[int, Key] = {}

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            raise _mistake(node, f"{node.value!r} is no {node.tag.rpartition(':')[2]}") from None

    def construct_yaml_map(self, node: Any) -> Iterator[Any]:
        for made in super().construct_yaml_map(node):
            yield made
        # Merged keys come first, so that a key that overrides one also replaces its line.
        self.lines[id(made)] = {self.construct_object(key): _line(key) for key, _ in node.value}

    def construct_yaml_seq(self, node: Any) -> Iterator[Any]:
        for made in super().construct_yaml_seq(node):
            yield made
        self.lines[id(made)] = {index: _line(child) for index, child in enumerate(node.value)}

    def flatten_mapping(self, node: Any) -> None:
        """Refuse repeated keys, which ruamel.yaml allows in a mapping that merges another."""
        lines: dict[Any, int] = {}
        for key, value in node.value if node.merge is None else ():
            if not isinstance(key, ScalarNode):
                raise _mistake(key, f"a key is a {key.id}")
            merges = key.tag == "tag:yaml.org,2002:merge"
            name = key.value if merges else self.construct_object(key)
            above = self.paths.get(id(node), ())
            self.paths[id(value)] = above if merges else (*above, name)
            if name in lines:
                found = f"the key {shown_path((*above, name))} is in line {lines[name]} too"
                raise _mistake(key, found, "each key once")
            lines[name] = _line(key)
        super().flatten_mapping(node)

    def construct_yaml_int(self, node: Any) -> int:
        if re.fullmatch("[-+]?0[0-9_]+", node.value):
            raise _mistake(node, _DIFFERENT.format(node.value), "a number without leading zeros")
        return super().construct_yaml_int(node)

    def construct_yaml_str(self, node: Any) -> str:
        if node.style is None and _SEXAGESIMAL.fullmatch(node.value):
            raise _mistake(node, _DIFFERENT.format(node.value), "a number, or a text in quotes")
        if "\0" in node.value:  # ends a text in NetCDF files
            raise _mistake(node, "a NUL character")
        # JSON writes some characters as a pair of surrogates.
        return str(node.value).encode("utf-16", "surrogatepass").decode("utf-16")


# A study has no values of other kinds, such as sets, ordered mappings or bytes.
_Constructor.yaml_constructors = {None: SafeConstructor.construct_undefined}
for _kind in ("null", "bool", "int", "float", "timestamp", "str", "map", "seq"):
    _Constructor.add_default_constructor(_kind)


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1


def _mistake(node: Any, found: str, expected: str | None = None) -> MarkedYAMLError:
    return MarkedYAMLError(problem=found, problem_mark=node.start_mark, note=expected)
