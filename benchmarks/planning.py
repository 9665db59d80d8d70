"""The plan of the quick study beside what its jobs take, in processor seconds.

The study runs on one core in a folder of its own, or ran before in a folder that is named:

    PYTHONPATH=scripts python benchmarks/planning.py FOLDER
"""

from __future__ import annotations

import csv
import resource
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from processes import verdict

from collapse import study as studies
from collapse.loop import blocks
from collapse.loop.branches import Branches
from collapse.loop.plan import estimate, jobs, machine
from collapse.loop.plan.device import Device
from collapse.loop.plan.jobs import Job
from collapse.study import Study

PROJECT = Path(__file__).parents[1]
STUDY = PROJECT / "config" / "studies" / "quick.yaml"

#: The largest ratio of the plan to what is measured, and of this to the plan.
LIMIT = 2.0

#: Rows for what belongs to no experiment: jobs for the whole study, bases, and Snakemake itself.
#: What the ends of processes take is not in their benchmarks, and is measured with it.
WHOLE, BASES, DRIVER = "of the study", "bases", "Snakemake, ends"


class Row(NamedTuple):
    """The seconds of a part of a study."""

    planned: float
    measured: float

    @property
    def ratio(self) -> float:
        """The plan relative to what is measured."""
        return self.planned / self.measured if self.measured else float("inf")

    def line(self, name: str) -> str:
        """Return the row of a table."""
        return f"{name:<20}{self.planned:>12.1f}{self.measured:>12.1f}{self.ratio:>8.2f}"


def report(quick: bool) -> list[bool]:
    """Run the quick study and print the comparison; return whether the plan is near enough."""
    if quick:
        print("\nplan: left out, because the quick study takes ten minutes")
        return []
    cores = [machine.measured(again=True)]
    with tempfile.TemporaryDirectory() as name:
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(PROJECT / "Snakefile")]
        command += ["--profile", str(PROJECT / "profiles" / "local"), "--cores", "1"]
        command += ["--config", f"study={STUDY}"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, cwd=name, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = sum(after[:2]) - sum(before[:2])
        cores.append(machine.measured(again=True))  # the speed of shared machines changes
        return _print(Path(name), cores, seconds)


def _print(folder: Path, cores: list[Device], seconds: float | None = None) -> list[bool]:
    study = studies.load(STUDY)
    holds = {
        name: blocks.chosen(Branches(study, name), None, on_cluster=False)
        for name, experiment in study.experiments.items()
        if experiment.by_iteration
    }
    by_part, by_rule = compare(study, folder, cores, seconds, holds)
    print(
        "\nthe plan of config/studies/quick.yaml, and what its jobs took; processor seconds\n"
        f"figures of the plan: {cores[0].source}, {len(cores)} times"
    )
    for what, rows in (("experiment", by_part), ("rule", by_rule)):
        print(f"{what:<20}{'planned':>12}{'measured':>12}{'ratio':>8}")
        for name, row in rows.items():
            print(row.line(name))
    whole = Row(*(sum(column) for column in zip(*by_part.values(), strict=True)))
    met = 1 / LIMIT <= whole.ratio <= LIMIT
    print(f"{whole.line('total')}  within a factor of {LIMIT:.0f}: {verdict(met)}")
    return [met]


def compare(
    study: Study,
    folder: Path,
    cores: list[Device],
    seconds: float | None = None,
    holds: Mapping[str, str] | None = None,
) -> tuple[dict[str, Row], dict[str, Row]]:
    """Compare the plan of a study with the benchmarks of its jobs.

    Parameters
    ----------
    study : Study
    folder : path
        The working directory in which it ran on one core.
    cores : list of Device
        A core of the machine, as measured at some times; the plan is their mean.
    seconds : float or None
        Processor seconds of the whole run, if they are known.
    holds : mapping of str to str, or None
        What a job of each experiment by steps held; see `jobs.of_study`.

    Returns
    -------
    by_part, by_rule : dict of str to Row
        The seconds of each experiment and of what belongs to none, and of the jobs of each rule.
    """
    parts: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    rules: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    planned = jobs.joined(jobs.of_study(study, holds))
    for job in planned.values():
        for rule, taken in _steps(job, cores):
            parts[0][BASES if rule == "base" else job.experiment or WHOLE] += taken
            rules[0][rule] += taken
    for part, rule, taken in _measured(study, folder):
        parts[1][part] += taken
        rules[1][rule] += taken
    if seconds is not None:
        speed = statistics.mean(core.core for core in cores)
        parts[0][DRIVER] = estimate.DRIVER * speed * len(planned)
        parts[1][DRIVER] = seconds - sum(parts[1].values())
    by_part, by_rule = (
        {name: Row(each[0][name], each[1][name]) for name in {**each[0], **each[1]}}
        for each in (parts, rules)
    )
    return by_part, by_rule


def _steps(job: Job, cores: list[Device]) -> Iterator[tuple[str, float]]:
    """Yield the rule and the planned seconds of each step, with the imports that it does first."""
    imported: set[str] = set()
    started = 0.0
    for step in job.steps:
        imported |= {*step.libraries}
        until = statistics.mean(core.start(imported) for core in cores)
        work = statistics.mean(core.seconds(step.work) for core in cores)
        yield step.rule, until - started + work
        started = until


def _measured(study: Study, folder: Path) -> Iterator[tuple[str, str, float]]:
    """Yield the part, the rule and the processor seconds of each job that ran in a folder."""
    ending = ".benchmark.tsv"
    for path in sorted((folder / "logs").rglob(f"*{ending}")):
        with path.open(encoding="utf-8") as lines:
            seconds = float(next(csv.DictReader(lines, delimiter="\t"))["cpu_time"])
        places = [part.removesuffix(ending) for part in path.relative_to(folder / "logs").parts]
        rule, part = places[0], places[1] if len(places) > 1 else WHOLE
        rule = "evaluate" if rule == "evaluate_pictured" else rule
        if part not in study.experiments:
            part = BASES if rule == "base" else WHOLE
        yield part, rule, seconds


if __name__ == "__main__":
    (given,) = sys.argv[1:]
    _print(Path(given), [machine.measured()])
