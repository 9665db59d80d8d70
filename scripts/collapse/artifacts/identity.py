"""What an artifact is made of, and its identity.

The record of an artifact says what the artifact is made of: the step that made it with its
parameters, the version of the step's numbers, and the identities of all inputs. A hash of this is
the artifact's identity. What a study would make has an identity before it is made, so that
artifacts are compared with a study by content, never by the age of files: docs/out-of-date.md.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from collapse.artifacts import remedies

#: What an artifact is made of, as plain values: ``rule``, ``version``, ``step``, ``inputs`` (the
#: path of each input's record, with its identity) and, of some rules, ``settings`` and ``sources``
#: (the path of each file or folder that the study names, with its checksum).
MadeOf = Mapping[str, Any]

#: The key under which a record says what its artifact is made of.
KEY = "made_of"


def identity(made_of: MadeOf) -> str:
    """Return the identity of what is made of this: 128 bits, in hexadecimal."""
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:32]


def recorded(record: str | Path) -> dict[str, Any] | None:
    """Return what a JSON record says that its artifact is made of.

    None if there is no such file, if it is damaged, or if an earlier version wrote it, which
    recorded no identities.
    """
    try:
        with open(record, "rb") as file:  # not by a Path: most of thousands are not there
            return dict(json.load(file)[KEY]) or None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def verify_inputs(made_of: MadeOf | None) -> None:
    """Check that the inputs of a step are those that its study expects.

    Raises
    ------
    DamagedFileError
        If an input is of another study, such as one that was edited while a run was on.
    """
    for record, expected in (made_of or {}).get("inputs", {}).items():
        verify(record, expected)


def verify(record: str | Path, expected: str) -> None:
    """Check that an artifact has the identity that a study expects; see `verify_inputs`.

    Whatever has no identity is accepted, because an earlier version wrote it.
    """
    found = recorded(record)
    if found is not None and identity(found) != expected:
        raise remedies.damaged(
            record, f"found an artifact of another study, expected the identity {expected}"
        )


def differences(old: MadeOf, new: MadeOf) -> list[str]:
    """Say in which parts an artifact that exists differs from what a study would make."""
    found = []
    if old.get("version") != new.get("version"):
        found.append(f"version {old.get('version')} -> {new.get('version')}")
    before, after = _flat(old), _flat(new)
    for key in dict.fromkeys([*before, *after]):
        if before.get(key) != after.get(key):
            found.append(f"{key} {before.get(key, 'nothing')} -> {after.get(key, 'nothing')}")
    for key in ("sources", "inputs"):
        there, wanted = old.get(key, {}), new.get(key, {})
        for path in dict.fromkeys([*there, *wanted]):
            if there.get(path) != wanted.get(path):
                found.append(f"another {path}")
    return found


def _flat(made_of: MadeOf) -> dict[str, Any]:
    step = dict(made_of.get("step", {}))
    parameters = step.pop("parameters", {})
    return {**step, **parameters, **made_of.get("settings", {})}
