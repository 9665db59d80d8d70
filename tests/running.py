"""Run the workflow as its users do: with the command `snakemake`, in a directory of its own."""

import os
import subprocess
import sys
from pathlib import Path

import yaml

import forking

PROJECT = Path(__file__).parents[1]


def python(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python on the package, with these variables in its environment."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(PROJECT / "scripts"), **variables},
        capture_output=True,
        text=True,
        timeout=240,
    )


class Workflow:
    """A working directory with a study in it."""

    def __init__(self, directory: Path, job_holds: str = "") -> None:
        self.directory = directory
        self.study = directory / "study.yaml"
        self.profile = PROJECT / "profiles" / "local"
        self.job_holds = job_holds

    @classmethod
    def ran(
        cls,
        directory: Path,
        *targets: str,
        cores: int = 2,
        job_holds: str = "",
        **experiments: dict,
    ) -> "Workflow":
        """Run a study of these experiments in a directory, which is made if need be."""
        directory.mkdir(exist_ok=True)
        workflow = cls(directory, job_holds)
        workflow.write(**experiments)
        workflow.printed = workflow.run(*targets, cores=cores)
        return workflow

    def write(self, **experiments: dict) -> None:
        """Write the study file."""
        self.write_with({}, **experiments)

    def write_with(self, regimes: dict, **experiments: dict) -> None:
        """Write the study file, with regimes that it defines."""
        document = {"regimes": regimes, "experiments": experiments}
        self.study.write_text(yaml.safe_dump(document, sort_keys=False))

    def command(self, *arguments: str, cores: int = 2) -> list[str]:
        return [
            *(sys.executable, "-m", "snakemake", *arguments),
            *("--snakefile", str(PROJECT / "Snakefile"), "--directory", str(self.directory)),
            *("--profile", str(self.profile), "--cores", str(cores)),
            *("--config", f"study={self.study}"),
            *([f"job_holds={self.job_holds}"] if self.job_holds else []),
        ]

    def run(self, *arguments: str, cores: int = 2, fails: bool = False) -> str:
        """Run the workflow, and return what it printed, which has no traceback."""
        done = forking.snakemake(self.command(*arguments, cores=cores)[3:])
        printed = done.stdout + done.stderr
        assert (done.returncode != 0) == fails and "Traceback" not in printed, printed
        return printed

    def planned(self, *arguments: str) -> dict[str, int]:
        """Count the jobs that a run would start, by rule."""
        printed = self.run("--dry-run", *arguments)
        counts = {}
        for line in printed.partition("Job stats:")[2].splitlines():
            words = line.split()
            if len(words) == 2 and words[1].isdigit():
                counts[words[0]] = int(words[1])
        counts.pop("total", None)
        return counts

    def planned_with(self, *targets: str, **experiments: dict) -> dict[str, int]:
        """Count the jobs that a run of other experiments would start, by rule."""
        before = self.study.read_text()
        self.write(**experiments)
        try:
            return self.planned(*targets)
        finally:
            self.study.write_text(before)

    def steps_planned(self, *targets: str, **experiments: dict) -> dict[str, int]:
        """Count them if each job holds a single step; files of longer jobs count as well."""
        before = self.job_holds
        self.job_holds = "step"
        try:
            return self.planned_with(*targets, **experiments)
        finally:
            self.job_holds = before

    def path(self, name: str) -> Path:
        return self.directory / "results" / name
