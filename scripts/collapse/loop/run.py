"""Before and after a run: read its configuration, set damaged results aside, report its end."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from collapse import study as studies
from collapse.artifacts import chain_file
from collapse.artifacts.files import DamagedFileError, UnreadableFileError
from collapse.study import Study, yaml_file


def configuration(
    config: Mapping[str, Any], folders: Sequence[Path]
) -> tuple[Study, dict[str, str]]:
    """Return the study and the conda environments that Snakemake's ``config`` names.

    The study file is looked for in the ``folders`` in turn. A mistake in the configuration or
    the study ends the process with one line.
    """
    try:
        return studies.load(yaml_file.find(config, folders)), yaml_file.environments(config)
    except studies.StudyError as error:
        sys.exit(f"error: {error}")


def undamaged(chains_of: Callable[[Any], list[str]], workflow: Any) -> Callable[[Any], list[str]]:
    """Return an input function that sets damaged results of an experiment aside.

    Snakemake calls it while it builds the graph, before it looks which files are there, so that
    they are made again. A dry run only says which files are damaged, and what starts no jobs at
    all (such as ``--dag``, ``--summary`` or ``--touch``) says nothing either. A file that can't
    be read now is named and stays as it is.

    Parameters
    ----------
    chains_of : callable
        The input function that returns the chains of an experiment.
    workflow : Workflow
        Snakemake's.
    """

    def chains(wildcards: Any) -> list[str]:
        found = chains_of(wildcards)
        starts_jobs = workflow.executor_plugin is not None and not workflow.touch
        if workflow.is_main_process and starts_jobs:
            for path in (f"results/{wildcards.experiment}/metrics.nc", *found):
                _check(path, workflow.dryrun)
        return found

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


def print_summary() -> None:
    """Print the summary of the study, if there is one, to standard error."""
    with suppress(OSError):
        text = Path("results/tables/summary.txt").read_text(encoding="utf-8")
        print(f"\n{text}", file=sys.stderr)


def print_errors(since: float) -> None:
    """Print the errors of jobs that failed since a time, in seconds since the epoch.

    Jobs on a cluster write their errors to logs alone.
    """
    for path in sorted(Path("logs").rglob("*.log")):
        with suppress(OSError):
            if path.stat().st_mtime >= since:
                said = path.read_text(encoding="utf-8", errors="replace")
                if said.startswith("error: "):
                    print(f"{path}: {said.strip()}", file=sys.stderr)
