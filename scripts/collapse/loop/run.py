"""Before and after a run: its study, damaged results, and what is printed at its end."""

from __future__ import annotations

import functools
import gc
import hashlib
import json
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collapse import families
from collapse import study as studies
from collapse.artifacts import chain_file, files, sources
from collapse.artifacts.files import DamagedFileError, UnreadableFileError
from collapse.errors import JobError
from collapse.study import Study, yaml_file

#: The variable with which a run tells its jobs where the snapshot of its study is.
SNAPSHOT = "COLLAPSE_SNAPSHOT"

#: The variable with which a run tells its jobs that it submits them to a cluster.
ON_CLUSTER = "COLLAPSE_ON_CLUSTER"

#: Folder of the snapshots in a working directory.
FOLDER = Path(".snakemake", "collapse")

#: After so many new objects, Python searches for cycles among them. Snakemake's graph of jobs has
#: millions of objects, and all of them stay; to search after every 700, the default, takes a tenth
#: of the time of a dry run.
NEW_OBJECTS = 50_000

#: Where the summary of a study is.
SUMMARY = Path("results/tables/summary.txt")


@dataclass(frozen=True)
class Run:
    """What a run and all its jobs work on: a study as it was when the run began.

    Attributes
    ----------
    study : Study
        The study.
    sources : dict of str to str
        The checksums of the files and folders that the study names.
    environments : dict of str to str
        The conda environments of jobs, by their kind.
    job_holds : str or None
        What Snakemake's configuration says that jobs of families by steps hold.
    on_cluster : bool
        Whether jobs are submitted to a cluster.
    """

    study: Study
    sources: dict[str, str]
    environments: dict[str, str]
    job_holds: str | None = None
    on_cluster: bool = False

    @property
    def _content(self) -> str:
        plain = {"study": studies.plain(self.study), "sources": self.sources}
        return json.dumps(plain, indent=1) + "\n"

    @property
    def snapshot(self) -> Path:
        """The path of the snapshot, which names its content."""
        name = hashlib.sha256(self._content.encode()).hexdigest()[:16]
        return FOLDER / f"study-{name}.json"

    def write_snapshot(self) -> None:
        """Write the snapshot, which the jobs of this run read instead of the study's file.

        A folder that can't be written ends the process with one line.
        """
        try:
            files.write_text(self.snapshot, self._content)
        except OSError as error:
            sys.exit(f"error: {self.snapshot}: can't be written ({error.strerror})")


def path_mistake(project: Path) -> str | None:
    """Return in one line why Snakemake can't run jobs from these paths; None if it can."""
    if re.search(r"[^\w@%+=:,./-]", sys.executable):
        return (
            f"{sys.executable}: found a path that Snakemake does not quote for the shell, "
            "expected a Python elsewhere (make VENV=PATH)"
        )
    if set(str(project)) & set("{}"):
        return f"{project}: found braces, which Snakemake takes for wildcards, expected none"
    return None


def begin(
    config: Mapping[str, Any], folders: Sequence[Path], *, main: bool, on_cluster: bool = False
) -> Run:
    """Return what a run works on; a mistake of the user ends the process with one line.

    Parameters
    ----------
    config : mapping
        Snakemake's configuration, which names the study.
    folders : sequence of path
        The folders in which the study's file is looked for, in turn.
    main : bool
        Whether this process plans the run; the processes of its jobs read its snapshot.
    on_cluster : bool
        Whether this process submits jobs to a cluster; those of its jobs know it from the run.
    """
    gc.set_threshold(NEW_OBJECTS)
    mistake = path_mistake(Path(folders[-1]))
    if mistake is not None:
        sys.exit(f"error: {mistake}")
    try:
        environments, holds = yaml_file.environments(config), yaml_file.job_holds(config)
        if on_cluster:
            os.environ[ON_CLUSTER] = "yes"
        if not main:
            return of_snapshot(environments, holds)
        study = studies.load(yaml_file.find(config, folders))
        found = sources.checksums(named_sources(study))
        run = Run(study, found, environments, holds, ON_CLUSTER in os.environ)
    except (studies.StudyError, JobError) as error:
        sys.exit(f"error: {error}")
    os.environ[SNAPSHOT] = str(run.snapshot)
    return run


def of_snapshot(environments: Mapping[str, str] | None = None, job_holds: str | None = None) -> Run:
    """Return what the run of this job works on: its study as it was when the run began.

    Raises JobError if there is no snapshot of it.
    """
    path = os.environ.get(SNAPSHOT, "")
    try:
        plain = json.loads(Path(path).read_text(encoding="utf-8"))
        study = Study.model_validate(plain["study"])
        on_cluster = ON_CLUSTER in os.environ
        return Run(study, plain["sources"], dict(environments or {}), job_holds, on_cluster)
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise JobError(
            f"{SNAPSHOT}: found no snapshot of the run's study at {path or 'no path'} ({reason}), "
            "expected the file that the run wrote; start the run again"
        ) from None


def named_sources(study: Study) -> list[str]:
    """Return the files and folders that are there of those that a study reads from outside."""
    named = []
    for name, experiment in study.experiments.items():
        if experiment.by_iteration:
            family = families.load(experiment.family)
            for point in study.cells[name].values():
                parameters = family.parameters(**point.parameters)
                named += family.by_steps.sources(parameters)
    return [path for path in dict.fromkeys(named) if os.path.exists(path)]


def undamaged(
    asked: Callable[[Any], list[str]], chains_of: Callable[[Any], list[str]], workflow: Any
) -> Callable[[Any], list[str]]:
    """Return an input function that also sets damaged results of an experiment aside.

    Snakemake calls it while it builds the graph, before it looks which files are there, so that
    they are made again. A dry run only says which files are damaged, and what starts no jobs at
    all (such as ``--dag``, ``--summary`` or ``--touch``) says nothing either. A file that can't
    be read now is named and stays as it is.

    Parameters
    ----------
    asked : callable
        The input function.
    chains_of : callable
        Returns the files of the chains of an experiment.
    workflow : Workflow
        Snakemake's.
    """

    def chains(wildcards: Any) -> list[str]:
        starts_jobs = workflow.executor_plugin is not None and not workflow.touch
        if workflow.is_main_process and starts_jobs:
            for path in (f"results/{wildcards.experiment}/metrics.nc", *chains_of(wildcards)):
                _check(path, workflow.dryrun)
        return asked(wildcards)

    return chains


@functools.cache  # Snakemake may ask for the inputs of a job more than once
def _check(path: str, dry: bool) -> None:
    if not Path(path).exists():
        return
    try:
        chain_file.check(path)
    except UnreadableFileError as error:
        print(error, file=sys.stderr)
    except DamagedFileError:
        will = "a run will make it again" if dry else "it will be made again"
        print(f"{path} is damaged: {will}", file=sys.stderr)
        if not dry:
            chain_file.set_aside(path)


def summary_state() -> tuple[int, int] | None:
    """Return the state of the summary's file, by which `print_summary` tells whether it is new."""
    try:
        found = SUMMARY.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def print_summary(before: tuple[int, int] | None, whole: bool) -> None:
    """Print the summary to standard error if it belongs to this run.

    Parameters
    ----------
    before : tuple or None
        The state of its file when the run began.
    whole : bool
        Whether the run's target was the whole study, so that an older summary is up to date.
    """
    now = summary_state()
    if now is not None and (whole or now != before):
        with suppress(OSError):
            print(f"\n{SUMMARY.read_text(encoding='utf-8')}", file=sys.stderr)


def print_errors(since: float) -> None:
    """Print the errors of jobs that failed since a time, in seconds since the epoch.

    The path of a log names the rule and the job, which Snakemake is quiet about under our profiles.
    """
    for path in sorted(Path("logs").rglob("*.log")):
        with suppress(OSError):
            if path.stat().st_mtime >= since:
                said = path.read_text(encoding="utf-8", errors="replace")
                if said.startswith("error: "):
                    print(f"{path}: {said.strip()}", file=sys.stderr)
