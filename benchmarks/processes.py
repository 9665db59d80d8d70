"""Measurements in processes of their own: what one imports or allocates, another does not see."""

from __future__ import annotations

import importlib
import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple


class Alone(NamedTuple):
    """What a function returned, and the peak memory of its process in MiB."""

    result: Any
    memory: float


def alone(module: str, function: str, *arguments: object) -> Alone:
    """Call a function of a module of this folder in a new process.

    Raises
    ------
    RuntimeError
        If it fails, with the last line of what it said.
    """
    command = [sys.executable, __file__, module, function, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        raise RuntimeError(f"{module}.{function}: {said[-1]}")
    return Alone(*json.loads(done.stdout.splitlines()[-1]))  # others may have printed before


def peak_memory() -> float:
    """Return the most memory that this process ever held, in MiB; mapped files count."""
    status = Path("/proc/self/status")
    if status.exists():  # what getrusage says includes what a parent held
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return float(fields["VmHWM"].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def verdict(passed: bool) -> str:
    """Say whether a requirement is met."""
    return "met" if passed else "NOT MET"


if __name__ == "__main__":
    name, called, given = sys.argv[1:]
    found = getattr(importlib.import_module(name), called)(*json.loads(given))
    print("\n" + json.dumps([found, peak_memory()]))
