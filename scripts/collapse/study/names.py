"""Names of points and regimes, made of the values that a study gives them.

A name stands in paths, in the logs and wildcards of jobs, in tables and in the names of random
streams. It consists of characters that file systems, shells, SLURM and Snakemake all leave alone,
and different values have different names, from which they can be read again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

#: What separates the parameters in the name of a point or a regime. It is no comma because
#: Snakemake splits the wildcards of a job on a cluster at commas (its issue 2366).
JOINT = "__"

#: Bytes of a value that are escaped. A final dot is one because some file systems drop it, and
#: = because it marks the parameters in a name.
_ODD = re.compile(rb"[^A-Za-z0-9_.+-]|\.\Z")

#: Names that readers of tables take for missing values, numbers or truth values, or some file
#: systems for devices.
_TAKEN = re.compile(
    r"na|nan|null|none|inf|infinity|true|false|con|prn|aux|nul|(com|lpt)[0-9]", re.IGNORECASE
)


def point_name(cell: Mapping[str, Any]) -> str:
    """Return the name of a cell of a grid, as it stands in paths and names of random streams."""
    return JOINT.join(f"{key}={text_of(value)}" for key, value in cell.items())


def text_of(value: str | float | bool | None) -> str:
    """Write a value for the names of points and regimes.

    A text that reads as a number, true, false or null has its first character escaped.
    """
    if not isinstance(value, str):
        return encoded(json.dumps(value))
    written = encoded(value)
    try:
        json.loads(written)
    except ValueError:
        return written
    return f"@{ord(written[0]):02x}{written[1:]}"


def encoded(text: str) -> str:
    """Escape characters other than letters, digits and ``_.+-``: @ and two digits for each byte."""
    return _ODD.sub(lambda found: b"@%02x" % found[0][0], text.encode()).decode()


def decoded(name: str) -> str:
    """Return a name with the characters that `encoded` escaped."""
    escaped = re.compile(b"@([0-9a-f]{2})")
    return escaped.sub(lambda found: bytes.fromhex(found[1].decode()), name.encode()).decode()


def is_misread(name: str) -> bool:
    """Tell whether a table or a file system takes a name for something else than a name."""
    return _TAKEN.fullmatch(name) is not None
