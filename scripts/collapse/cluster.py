"""The driver on a cluster: one a working directory, restartable, and what an earlier one left.

A *driver* is the Snakemake process that submits the jobs of a study. Snakemake does not find
the jobs of a driver that was killed: a new one would submit them a second time, to write the
same files at the same time. `Driver` therefore first waits for them, or cancels them, and what
they finished is not run again.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import psutil

from collapse.errors import JobError

#: States of jobs that have ended.
ENDED = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED"),
    *("NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT", "PREEMPTED", "REVOKED"),
}

#: Seconds between looks at the queue, and that a SLURM command may take.
INTERVAL, PATIENCE = 5.0, 60.0

#: Files of the driver and of Snakemake in a working directory.
STATE = Path(".snakemake")
LOCK = STATE / "driver.lock"
LOGS = STATE / "driver"
JOB_LOGS = STATE / "slurm_logs"


#: Where this package is, for submitit to import it.
PACKAGE = Path(__file__).resolve().parents[1]


class DriverError(JobError):
    """A driver that can't start, in one line."""


class SlurmError(JobError):
    """A SLURM command that failed, in one line."""


def slurm(*command: str) -> str:
    """Run a SLURM command and return what it printed.

    Raises
    ------
    SlurmError
        If it fails, is not there, or does not answer.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    except FileNotFoundError:
        raise SlurmError(f"{command[0]}: not found; is this a login node of a cluster?") from None
    except subprocess.TimeoutExpired:
        raise SlurmError(f"{command[0]}: no answer in {PATIENCE:.0f} s") from None
    if done.returncode:
        why = (done.stderr.strip() or f"status {done.returncode}").splitlines()[0]
        raise SlurmError(f"{command[0]}: {why}")
    return done.stdout


class Job(NamedTuple):
    """A job of SLURM: its number (``123`` or ``123_4``), its state, and its log's path."""

    number: str
    state: str
    log: str


def jobs_of(directory: Path) -> list[Job]:
    """Return the jobs of a working directory that SLURM knows, ended ones for some minutes.

    They are told by their logs, which Snakemake puts into the working directory.
    """
    logs = f"{(directory / JOB_LOGS).resolve()}{os.sep}"
    return [job for job in _queue() if job.log.startswith(logs)]


def _queue() -> list[Job]:
    """Return all jobs of this user. Asked for one that it does not know, squeue would fail."""
    widths = (32, 32, 4096)
    fields = ",".join(
        f"{name}:{width}"
        for name, width in zip(("JobArrayID", "State", "StdOut"), widths, strict=True)
    )
    user = psutil.Process().username()
    listed = slurm(
        *("squeue", "--noheader", "--array", "--states=all"),
        *("--user", user, "--Format", fields),
    )
    edges = [sum(widths[:i]) for i in range(len(widths) + 1)]
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
        active = [job.number for job in jobs_of(directory) if job.state not in ENDED]
        if not active:
            return
        if not told:
            verb = "waiting for" if orphans == "await" else "cancelling"
            say(f"{verb} {len(active)} jobs of an earlier driver: {' '.join(active)}")
            if orphans == "cancel":
                slurm("scancel", *active)
        told = True
        time.sleep(INTERVAL if orphans == "await" else 1)


@dataclass(frozen=True)
class Holder:
    """Who drives a working directory: a process, or a job of SLURM that may yet have to start."""

    host: str
    pid: int
    started: float
    job: str = ""

    @classmethod
    def current(cls, job: str = "") -> Holder:
        """Return this process."""
        process = psutil.Process()
        return cls(socket.gethostname(), process.pid, process.create_time(), job)

    def __str__(self) -> str:
        return f"job {self.job}" if self.job else f"process {self.pid} on {self.host}"

    def is_alive(self) -> bool:
        """Tell whether it still is there; of a process on another host nobody knows.

        Raises
        ------
        SlurmError
            If SLURM does not say.
        """
        if self.job:
            return any(job.number == self.job and job.state not in ENDED for job in _queue())
        if self.host != socket.gethostname():
            return True
        try:
            # Numbers of processes are used again, after a reboot from the start.
            return abs(psutil.Process(self.pid).create_time() - self.started) < 1
        except psutil.NoSuchProcess:
            return False


class Lock:
    """The right to drive a working directory: a file that says who has it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / LOCK

    def holder(self) -> Holder | None:
        """Return who has it."""
        try:
            return Holder(**json.loads(self.path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            raise DriverError(
                f"{self.path}: damaged; delete it if no driver is running here"
            ) from None

    def acquire(self, holder: Holder, heir_of: Holder | None = None) -> None:
        """Take it, if it is free, or its holder is dead or the one whose heir this is.

        Raises
        ------
        DriverError
            If somebody has it.
        """
        while True:
            with suppress(FileExistsError):
                return self._write(holder, os.link)
            present = self.holder()
            if present is None:
                continue
            if present in (holder, heir_of) or (holder.job and present.job == holder.job):
                return self._write(holder, os.replace)
            if present.is_alive():
                elsewhere = not present.job and present.host != holder.host
                remedy = f"; if it is gone, delete {self.path}" if elsewhere else ""
                raise DriverError(f"{self.directory}: {present} is driving here already{remedy}")
            self._break(present)

    def hand_over(self, holder: Holder) -> None:
        """Give it to another."""
        self._write(holder, os.replace)

    def release(self) -> None:
        """Give it up."""
        self.path.unlink(missing_ok=True)

    def _write(self, holder: Holder, place: Callable[[Path, Path], None]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        whole = self.path.with_name(f"{self.path.name}.{uuid.uuid4().hex}")
        try:
            whole.write_text(json.dumps(vars(holder)), encoding="utf-8")
            place(whole, self.path)
        finally:
            whole.unlink(missing_ok=True)

    def _break(self, dead: Holder) -> None:
        """Remove the lock of a dead holder, unless another one was faster."""
        aside = self.path.with_name(f"{self.path.name}.{uuid.uuid4().hex}")
        with suppress(FileNotFoundError):
            os.rename(self.path, aside)
            if Holder(**json.loads(aside.read_text(encoding="utf-8"))) != dead:
                with suppress(FileExistsError):
                    os.link(aside, self.path)
            aside.unlink()


def running_here(directory: Path) -> int | None:
    """Return the process of a Snakemake that somebody started by hand in a directory, on this host.

    The jobs of Snakemake are such processes, too, but not drivers.
    """
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if not any(Path(word).name == "snakemake" for word in words[:4]) or "--mode" in words:
            continue
        with suppress(psutil.Error):
            if Path(process.cwd()) == directory and process.pid != os.getpid():
                return process.pid
    return None


@dataclass
class Driver:
    """Snakemake on a working directory; submitit runs it, and runs it again after its time limit.

    Attributes
    ----------
    directory : str
        The working directory, absolute.
    command : sequence of str
        Snakemake and its arguments.
    orphans : str
        What becomes of the jobs that an earlier driver left in the queue.
    submits : bool
        Whether Snakemake submits jobs to SLURM, so that there may be such.
    launcher : Holder or None
        Who holds the working directory for this driver until it starts.
    """

    directory: str
    command: Sequence[str]
    orphans: Literal["await", "cancel"] = "await"
    submits: bool = True
    launcher: Holder | None = None

    def __call__(self) -> int:
        """Drive to the end, and return Snakemake's exit status, or 1 after saying what is wrong."""
        try:
            return self._drive()
        except JobError as error:
            _say(f"error: {error}")
            return 1

    def _drive(self) -> int:
        directory = Path(self.directory)
        with _held(directory, self.launcher):
            _say(f"driver on {socket.gethostname()} in {directory}")
            if self.submits:
                # What they finish is not run again: a job itself marks its files as complete.
                settle(directory, self.orphans, _say)
            if any((directory / STATE / "locks").glob("*.lock")):
                subprocess.run([*self.command, "--unlock"], check=True, cwd=directory, env=_clean())
            status = subprocess.run(self.command, cwd=directory, env=_clean()).returncode
            if status == -signal.SIGUSR2:
                time.sleep(PATIENCE)  # the same signal is on its way to this process: checkpoint
            return status

    def checkpoint(self, *_: Any) -> Any:
        """Stop driving, and say how to go on: as at the start. Jobs in the queue are left there."""
        from submitit.helpers import DelayedSubmission

        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        return DelayedSubmission(replace(self))


@contextmanager
def _held(directory: Path, launcher: Holder | None) -> Iterator[None]:
    """Hold the lock of a directory."""
    lock = Lock(directory)
    lock.acquire(Holder.current(_own_job()), heir_of=launcher)
    try:
        by_hand = running_here(directory)
        if by_hand:
            raise DriverError(f"{directory}: Snakemake is running here already (process {by_hand})")
        yield
    finally:
        lock.release()


def _own_job() -> str:
    """Return the number of the SLURM job that submitit started this process in."""
    inside = os.environ.get("SUBMITIT_EXECUTOR") == "slurm"
    return os.environ.get("SLURM_JOB_ID", "") if inside else ""


def _clean() -> Mapping[str, str]:
    """Return the environment without what the driver's own job added, for its jobs inherit it."""
    own = re.compile(r"SLURM_(?!CONF$)|SBATCH_|SRUN_|SUBMITIT_")
    kept = {name: value for name, value in os.environ.items() if not own.match(name)}
    paths = kept.get("PYTHONPATH", "").split(os.pathsep)
    kept["PYTHONPATH"] = os.pathsep.join(path for path in paths if path and path != str(PACKAGE))
    return kept


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def launch(driver: Driver, cluster: Literal["slurm", "local", "debug"], **parameters: Any) -> Any:
    """Start a driver as a job, as a process of its own, or in this process.

    Parameters
    ----------
    driver : Driver
        What to run.
    cluster : str
        ``slurm``: as a job, which runs again when its time is over; ``local``: in a process;
        ``debug``: in this process.
    **parameters
        Of submitit's executor for SLURM.

    Returns
    -------
    submitit.Job
        See `wait`; ``paths.stdout`` and ``paths.stderr`` are its logs.
    """
    import submitit

    folder = Path(driver.directory, LOGS)
    folder.mkdir(parents=True, exist_ok=True)
    before = filter(None, [os.environ.get("PYTHONPATH")])
    os.environ["PYTHONPATH"] = os.pathsep.join([str(PACKAGE), *before])
    lock, launcher = Lock(Path(driver.directory)), Holder.current()
    lock.acquire(launcher)
    if cluster != "slurm":
        lock.release()
        kinds = {"local": submitit.LocalExecutor, "debug": submitit.DebugExecutor}
        executor: Any = kinds[cluster](folder)
        executor.update_parameters(timeout_min=365 * 24 * 60)
        return executor.submit(driver)
    try:
        executor = submitit.SlurmExecutor(folder, max_num_timeout=10_000)
        setup = [f"export PYTHONPATH={shlex.quote(os.environ['PYTHONPATH'])}"]
        executor.update_parameters(setup=setup, **parameters)
        job = executor.submit(replace(driver, launcher=launcher))
    except BaseException:
        lock.release()
        raise
    lock.hand_over(replace(launcher, job=job.job_id))
    return job


def wait(job: Any) -> int:
    """Wait for a driver, and return its exit status.

    Raises
    ------
    DriverError
        If it ended without one.
    """
    if job.job_id.isdigit() and type(job).__name__ == "SlurmJob":
        while any(one.number == job.job_id and one.state not in ENDED for one in _queue()):
            time.sleep(INTERVAL)
    try:
        return int(job.result())
    except Exception as error:  # of submitit, in many words
        why = str(error).strip().splitlines()[0]
        raise DriverError(f"the driver ended early ({why}); its log: {job.paths.stderr}") from None
