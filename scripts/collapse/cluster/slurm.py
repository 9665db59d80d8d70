"""SLURM's commands and its queue: find the jobs of a working directory, await or cancel them."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import time
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import psutil

from collapse.errors import JobError

#: States of jobs that have ended.
ENDED = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED"),
    *("NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT", "PREEMPTED", "REVOKED"),
}

#: The folder in a working directory into which Snakemake writes the logs of SLURM jobs.
JOB_LOGS = Path(".snakemake", "slurm_logs")

#: Seconds between two looks at the queue, and time limit of a SLURM command in seconds.
INTERVAL, PATIENCE = 5.0, 60.0

#: Variables with which a user changes what SLURM's commands list, and in which form.
PREFERENCES = re.compile(r"(SQUEUE|SINFO|SACCT|SACCTMGR|SCONTROL)_")

#: What SLURM says if the controller is away or overloaded. A submission may have arrived for all
#: that: only its answer is lost.
UNANSWERED = re.compile(
    r"unable to contact slurm controller|slurm controller not responding|socket timed out"
    r"|zero bytes were transmitted|connection (refused|timed out|reset)|broken pipe"
    r"|backup controller in standby|temporarily un(available|able)|no answer in",
    re.IGNORECASE,
)


class SlurmError(JobError):
    """A SLURM command failed; the message is one line."""


def forget_preferences(environment: MutableMapping[str, str]) -> None:
    """Remove the variables that change what SLURM's commands list, for example SQUEUE_PARTITION."""
    for name in [name for name in environment if PREFERENCES.match(name)]:
        del environment[name]


def slurm(*command: str) -> str:
    """Run a SLURM command and return what it printed.

    Raises
    ------
    SlurmError
        If the command does not exist, fails, or exceeds its time limit.
    """
    environment = dict(os.environ)
    forget_preferences(environment)
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, env=environment
        )
    except FileNotFoundError:
        raise SlurmError(f"{command[0]}: not found; is this a login node of a cluster?") from None
    except subprocess.TimeoutExpired:
        raise SlurmError(f"{command[0]}: no answer in {PATIENCE:.0f} s") from None
    if done.returncode:
        why = (done.stderr.strip() or f"status {done.returncode}").splitlines()[0]
        raise SlurmError(f"{command[0]}: {why}")
    return done.stdout


class Job(NamedTuple):
    """A SLURM job: its number (``123`` or ``123_4``), what the queue says, path of its log."""

    number: str
    state: str
    reason: str
    name: str
    log: str


def jobs_of(directory: Path) -> list[Job]:
    """Return a working directory's jobs, identified by their logs, which are in that directory.

    SLURM lists jobs for some minutes after they have ended.
    """
    logs = f"{(directory / JOB_LOGS).resolve()}{os.sep}"
    return [job for job in queue() if job.log.startswith(logs)]


def is_active(number: str) -> bool:
    """Tell whether a job is in the queue and has not ended."""
    return any(job.number == number and job.state not in ENDED for job in queue())


Found = TypeVar("Found")


def patiently(look: Callable[[], Found], say: Callable[[str], None] = print) -> Found:
    """Look at the queue until SLURM answers, and say so if it does not at once."""
    told = False
    while True:
        try:
            return look()
        except SlurmError as error:
            if not UNANSWERED.search(str(error)):
                raise
            if not told:
                say(f"{error}; waiting until SLURM answers")
        told = True
        time.sleep(INTERVAL)


def queue() -> list[Job]:
    """Return all jobs of this user; squeue would fail if asked for a job that it has forgotten."""
    columns = {"JobArrayID": 32, "State": 32, "Reason": 64, "Name": 128, "StdOut": 4096}
    widths = columns.values()
    fields = ",".join(f"{name}:{width}" for name, width in columns.items())
    user = psutil.Process().username()
    listed = slurm(
        *("squeue", "--noheader", "--array", "--states=all"),
        *("--user", user, "--Format", fields),
    )
    edges = [0, *itertools.accumulate(widths)]
    return [
        Job(*(line[a:b].strip() for a, b in itertools.pairwise(edges)))
        for line in listed.splitlines()
    ]


def settle(
    directory: Path, orphans: Literal["await", "cancel"], say: Callable[[str], None] = print
) -> None:
    """Wait for the jobs that an earlier driver left in the queue, or cancel them."""
    told = False
    while True:
        jobs = patiently(lambda: jobs_of(directory), say)
        active = [job.number for job in jobs if job.state not in ENDED]
        if not active:
            return
        if not told:
            verb = "waiting for" if orphans == "await" else "cancelling"
            say(f"{verb} {len(active)} jobs of an earlier driver: {' '.join(active)}")
            if orphans == "cancel":
                slurm("scancel", *active)
        told = True
        time.sleep(INTERVAL if orphans == "await" else 1)
