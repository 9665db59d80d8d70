"""Records of jobs that hold several steps or chains, and write files unknown to Snakemake.

If such a job must run although its record is there, as when a file was lost, it is asked for a
record with the next number, which Snakemake does not find.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from collapse.artifacts import files

#: Of the wildcard that a record's path has at its end: nothing, or its number.
NUMBER = r"|-\d+"


def found(path: str, names: Sequence[str] = ()) -> dict[int, str]:
    """Return the records that are there, by number.

    Parameters
    ----------
    path : str
        The path of the record with no number.
    names : sequence of str, optional
        Which records of its folder are meant: by default those of this one's name.
    """
    folder, name = os.path.split(path)
    there = os.listdir(folder) if os.path.isdir(folder) else []
    wanted = names or [name.removesuffix(".json")]
    pattern = re.compile(rf"(?:{'|'.join(map(re.escape, wanted))})(?:-(\d+))?\.json")
    matches = filter(None, map(pattern.fullmatch, there))
    return {int(one[1] or 1): os.path.join(folder, one[0]) for one in matches}


def numbered(path: str, number: int) -> str:
    """Return the path of a record with a number; the first one has none."""
    return path if number == 1 else f"{path.removesuffix('.json')}-{number}.json"


def write(record: str | Path, content: Mapping[str, Any]) -> None:
    """Write a record, and remove those of the same job with other numbers."""
    files.write_text(record, json.dumps(content, indent=1) + "\n")
    first = re.sub(r"-\d+\.json$", ".json", str(record))
    for other in found(first).values():
        if Path(other) != Path(record):
            Path(other).unlink()
