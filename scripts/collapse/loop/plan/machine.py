"""The cores of this machine, measured once in a few seconds."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from collapse.artifacts import files
from collapse.loop.plan import device
from collapse.loop.plan.device import Device, Rates

#: Where the figures of this machine are kept, in the working directory.
CACHE = Path(".snakemake", "collapse", "device.json")

#: The reference core, on which the seconds that families state were measured.
REFERENCE = Device(
    name="a core of a server of the 2020s",
    source="estimates, because torch is not installed here to measure this machine",
    core=1.0,
    imports=1.0,
    bandwidth=4e9,
    rates={
        "transformer": Rates(5e-6, [(7e5, 5.5e10), (1e8, 7e10)]),
        "sampling": Rates(5e-6, [(7e5, 5.5e10), (1e8, 7e10)]),
        "convolution": Rates(3e-5, [(8e4, 3.5e10), (6e6, 7e10)]),
        "graph": Rates(7e-6, [(1.3e5, 2.5e10), (8e5, 4.5e10)]),
    },
)


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def measured(again: bool = False) -> Device:
    """Return the figures of a core of this machine: those that were kept, or measured now.

    Parameters
    ----------
    again : bool
        Measure them even if they were kept.

    Returns
    -------
    Device
        The reference core if torch is not installed here.
    """
    name = described()
    if not again:
        with suppress(OSError, ValueError):
            kept = device.read(CACHE)
            if kept.name == name:
                return kept
    done = subprocess.run(
        [sys.executable, "-m", "collapse.loop.plan.calibration"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    if done.returncode:
        return REFERENCE
    plain = json.loads(done.stdout.splitlines()[-1])
    found = Device.parse({**plain, "name": name, "source": "measured on this machine"})
    with suppress(OSError):  # without them the next plan measures again
        files.write_text(CACHE, json.dumps(found.as_dict(), indent=1) + "\n")
    return found


def described() -> str:
    """Return what figures hold for: this machine, its processor, and the Python with its torch."""
    processor = platform.machine()
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
    return f"{platform.node()}, {processor}, {sys.executable}"
