"""What jobs and runs of the workflow take in another checkout and in this one, in turns.

    python benchmarks/checkouts.py OTHER      with the folder of the other checkout

Both run with the Python of this process. Jobs are measured by their processes, from the start of
the interpreter to its end; runs with all of their processes, and the driver.
"""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

PROJECT = Path(__file__).parents[1]

#: One iteration of each neural family, whose model writes 1000 short samples.
ONE: dict[str, Any] = {"regimes": ["replace"], "iterations": 1, "seeds": 1, "samples": 1000}
TUNING = {**ONE, "family": "fine_tuning", "settings": {"judged": 1000, "epochs": 4.0}}
GRID = {
    "regimes": ["replace", "accumulate", "accumulate-subsample"],
    "iterations": 100,
    "seeds": 100,
    "samples": [10, 32, 100, 316, 1000],
}
STUDY: dict[str, Any] = {
    "language-model": {**ONE, "family": "language_model", "settings": {"judged": 1000}},
    "fine-tuning": TUNING,
    "fine-tuning-again": {**TUNING, "settings": {"judged": 0}},
    "vae": {**ONE, "family": "vae", "settings": {"epochs": 3.0}},
    "molecules": {
        **ONE, "family": "molecule_diffusion", "samples": 200,
        "settings": {"molecules": 100, "test_molecules": 10, "epochs": 2.0, "judged": 200},
    },
    "gaussian": {
        **GRID, "family": "gaussian",
        "grid": {"dimension": [1, 3, 10, 31, 100], "variance": [1.0]},
    },
    "linear-regression": {
        **GRID, "family": "linear_regression",
        "grid": {"dimension": [1, 3, 10, 32, 100], "noise_variance": [0.1, 1.0, 10.0]},
    },
}  # fmt: skip
BY_STEPS = ("language-model", "fine-tuning", "vae", "molecules")

#: Every Python process loads this first, and notes what the processes took that it waited for.
NOTING = """\
import json, os, subprocess

def _try_wait(self, flags):
    try:
        pid, status, used = os.wait4(self.pid, flags)
    except ChildProcessError:
        return self.pid, 0
    if pid:
        with open(os.environ["NOTED"], "a") as noted:
            noted.write(json.dumps([str(self.args), used.ru_utime + used.ru_stime]) + "\\n")
    return pid, status

subprocess.Popen._try_wait = _try_wait
"""


class Run(NamedTuple):
    """Processor seconds of jobs by rule and of the whole run, and its wall time."""

    jobs: Counter[str]
    seconds: float
    wall: float


def run(checkout: Path, folder: Path, study: Path, *arguments: str) -> Run:
    """Run the workflow of a checkout in a folder, a job at a time."""
    noting, noted = folder / "noting", folder / "noted"
    noting.mkdir(parents=True, exist_ok=True)
    (noting / "sitecustomize.py").write_text(NOTING)
    noted.write_text("")
    schema = (checkout / "config" / "schemas" / "study.schema.json").read_text()
    before, began = _children(), time.perf_counter()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", "--snakefile", checkout / "Snakefile"),
            *("--profile", checkout / "profiles" / "local", "--directory", folder, "--cores", "1"),
            *arguments,
            *("--config", f"study={study}"),
            *(["job_holds=step"] if "job_holds" in schema else []),
        ],
        env={
            **os.environ,
            "NOTED": str(noted),
            "OMP_NUM_THREADS": "1",
            "HF_HUB_OFFLINE": "1",
            "PYTHONPATH": os.pathsep.join(
                filter(None, [str(noting), os.environ.get("PYTHONPATH")])
            ),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
    jobs: Counter[str] = Counter()
    for line in noted.read_text().splitlines():
        command, seconds = json.loads(line)
        if rule := re.search(r"\.snakemake/scripts/tmp\w+\.(\w+)\.py", command):
            jobs[rule[1]] += seconds
    wall = time.perf_counter() - began
    return Run(jobs, _children() - before, wall)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def row(what: str, before: float, after: float) -> None:
    """Print a row of the table."""
    print(f"{what:<52}{before:>9.1f}{after:>9.1f}{after / before:>9.2f}", flush=True)


def report(other: Path) -> None:
    """Print what both checkouts take."""
    print(f"{'processor seconds, a job at a time':<52}{'before':>9}{'now':>9}{'ratio':>9}")
    with tempfile.TemporaryDirectory() as home:
        study = Path(home, "study.yaml")
        study.write_text(json.dumps({"experiments": STUDY}))
        folders = [(other, Path(home, "before")), (PROJECT, Path(home, "now"))]

        def both(experiment: str) -> Sequence[Run]:
            target = f"results/{experiment}/metrics.nc"
            return [run(place, folder, study, target) for place, folder in folders]

        bases = [0.0, 0.0]
        for experiment in BY_STEPS:
            found = both(experiment)
            for rule in ("train", "generate", "evaluate"):
                row(f"{experiment}: {rule}", *(one.jobs[rule] for one in found))
            if experiment == "fine-tuning":
                found = [*zip(found, both("fine-tuning-again"), strict=True)]
                for number, runs in enumerate(found):
                    bases[number] = sum(one.jobs["base"] + one.jobs["prepare"] for one in runs)
        row("base and data of two experiments of fine-tuning", *bases)
        for experiment in ("gaussian", "linear-regression"):
            found = both(experiment)
            row(f"{experiment}, the published grid, the run", *(one.seconds for one in found))
            row("  its wall time", *(one.wall for one in found))
        paper = other / "config" / "studies" / "paper.yaml"
        found = [
            run(place, folder, paper, "--dry-run", "--quiet", "all") for place, folder in folders
        ]
        row("dry run of its study of both papers, a job a step", *(one.seconds for one in found))


if __name__ == "__main__":
    report(Path(sys.argv[1]).resolve())
