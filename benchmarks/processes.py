"""Measurements in processes of their own, whose imports and memory don't add up."""

from __future__ import annotations

import importlib
import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple


class Alone(NamedTuple):
    """The value that a function returned, and the peak memory of its process in MiB."""

    result: Any
    memory: float


def alone(module: str, function: str, *arguments: object) -> Alone:
    """Call a function of a module of this folder in a new process.

    Raises
    ------
    RuntimeError
        If it fails, with the last line that it printed.
    """
    command = [sys.executable, __file__, module, function, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        raise RuntimeError(f"{module}.{function}: {said[-1]}")
    return Alone(*json.loads(done.stdout.splitlines()[-1]))  # libraries may print lines before


def peak_memory() -> float:
    """Return the peak memory of this process in MiB, mapped files included."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would include the parent's memory
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return float(fields["VmHWM"].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def verdict(passed: bool) -> str:
    """Return the words for a requirement that is met or missed."""
    return "met" if passed else "NOT MET"


if __name__ == "__main__":
    name, called, given = sys.argv[1:]
    found = getattr(importlib.import_module(name), called)(*json.loads(given))
    print("\n" + json.dumps([found, peak_memory()]))
