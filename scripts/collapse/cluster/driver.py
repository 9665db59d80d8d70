"""The driver of a study: one for each working directory, which can be killed and started again.

A *driver* is the Snakemake process that submits the jobs of a study. Snakemake does not know of
jobs in the queue that a killed driver submitted: a new driver would submit them a second time, and
both would write the same files. `Driver` therefore first waits for these jobs or cancels them; the
steps that they finished are not run again.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import psutil
from snakemake.common import get_appdirs

from collapse.cluster import slurm
from collapse.cluster.driver_lock import DriverError, Holder, Lock, running_here
from collapse.errors import JobError

#: Snakemake's own files in a working directory, and the driver's logs.
STATE = Path(".snakemake")
LOGS = STATE / "driver"

#: Time limit of the driver's job in minutes, after which it queues again.
MINUTES = 1440

#: Variables that SLURM and submitit set in the driver's own job. Others that begin with SBATCH are
#: the user's defaults for sbatch, and hold for jobs.
OWN = re.compile(r"SLURM_(?!CONF$)|SBATCH_(CPU|MEM)_BIND|SRUN_|SUBMITIT_")

#: The folder of this package, which submitit needs on its path to import it.
PACKAGE = Path(__file__).resolve().parents[2]


@dataclass
class Driver:
    """Snakemake on a working directory, which submitit runs, and again after its time limit.

    Attributes
    ----------
    directory : str
        The absolute path of the working directory.
    command : sequence of str
        Snakemake and its arguments.
    orphans : str
        Whether to await or to cancel the jobs that an earlier driver left in the queue.
    submits : bool
        Whether Snakemake submits jobs to SLURM, so that an earlier driver may have left some.
    launcher : Holder or None
        The process that holds the working directory for this driver until it starts.
    """

    directory: str
    command: Sequence[str]
    orphans: Literal["await", "cancel"] = "await"
    submits: bool = True
    launcher: Holder | None = None

    def __call__(self) -> int:
        """Run Snakemake and return its exit status, or 1 after an error, told in one line."""
        try:
            return self._drive()
        except (JobError, OSError) as error:
            _say(f"error: {error}")
            return 1

    def _drive(self) -> int:
        directory = Path(self.directory)
        check_cache()
        with _held(directory, self.launcher):
            _say(f"driver on {socket.gethostname()} in {directory}")
            if self.submits:
                # Jobs mark their outputs as complete by themselves, so they are not run again.
                slurm.settle(directory, self.orphans, _say)
            if any((directory / STATE / "locks").glob("*.lock")):
                subprocess.run([*self.command, "--unlock"], check=True, cwd=directory, env=_clean())
            status = subprocess.run(self.command, cwd=directory, env=_clean()).returncode
            if status == -signal.SIGUSR2:
                # SLURM sends the same signal to this process, where submitit calls checkpoint.
                time.sleep(slurm.PATIENCE)
            return status

    def checkpoint(self, *_: Any) -> Any:
        """Kill Snakemake and return this driver, to be submitted again; jobs stay in the queue."""
        from submitit.helpers import DelayedSubmission

        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        return DelayedSubmission(replace(self))


@contextmanager
def _held(directory: Path, launcher: Holder | None) -> Iterator[None]:
    """Hold the lock of a directory; raise `DriverError` if somebody else drives there."""
    lock = Lock(directory)
    lock.acquire(Holder.current(_own_job()), heir_of=launcher)
    try:
        by_hand = running_here(directory)
        if by_hand:
            raise DriverError(f"{directory}: Snakemake is running here already (process {by_hand})")
        yield
    finally:
        lock.release()


def check_cache() -> None:
    """Raise `DriverError` if Snakemake's cache of the user can't be written, as without a home."""
    folder = Path(get_appdirs().user_cache_dir, "snakemake")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise DriverError(
            f"Snakemake's cache {folder} can't be written ({error.strerror}); "
            "set XDG_CACHE_HOME to a folder that can, on the nodes too"
        ) from None


def _own_job() -> str:
    """Return the number of the SLURM job in which submitit started this process, if it did."""
    inside = os.environ.get("SUBMITIT_EXECUTOR") == "slurm"
    return os.environ.get("SLURM_JOB_ID", "") if inside else ""


def _clean() -> Mapping[str, str]:
    """Return the environment without what the driver's own job set, as its jobs inherit it."""
    kept = {name: value for name, value in os.environ.items() if not OWN.match(name)}
    slurm.forget_preferences(kept)
    paths = kept.get("PYTHONPATH", "").split(os.pathsep)
    kept["PYTHONPATH"] = os.pathsep.join(path for path in paths if path and path != str(PACKAGE))
    return kept


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def launch(driver: Driver, place: Literal["slurm", "local", "debug"], **parameters: Any) -> Any:
    """Start a driver; raise `DriverError` if its working directory already has one.

    Parameters
    ----------
    driver : Driver
        The driver to start.
    place : str
        Where it runs: in a SLURM job that is queued again after its time limit (``slurm``), in a
        process of its own (``local``), or in this process (``debug``).
    **parameters
        Parameters of submitit's executor for SLURM.

    Returns
    -------
    submitit.Job
        An argument for `wait`; the paths of its logs are ``paths.stdout`` and ``paths.stderr``.
    """
    import submitit

    check_cache()
    folder = Path(driver.directory, LOGS)
    folder.mkdir(parents=True, exist_ok=True)
    before = filter(None, [os.environ.get("PYTHONPATH")])
    os.environ["PYTHONPATH"] = os.pathsep.join([str(PACKAGE), *before])
    lock, launcher = Lock(Path(driver.directory)), Holder.current()
    lock.acquire(launcher)
    if place != "slurm":
        lock.release()
        kinds = {"local": submitit.LocalExecutor, "debug": submitit.DebugExecutor}
        executor: Any = kinds[place](folder)
        executor.update_parameters(timeout_min=365 * 24 * 60)
        return executor.submit(driver)
    try:
        executor = submitit.SlurmExecutor(folder, max_num_timeout=10_000)
        setup = [f"export PYTHONPATH={shlex.quote(os.environ['PYTHONPATH'])}"]
        executor.update_parameters(setup=setup, **parameters)
        with redirect_stderr(io.StringIO()):  # submitit prints what sbatch said, too
            job = executor.submit(replace(driver, launcher=launcher))
    except BaseException as error:
        lock.release()
        if isinstance(error, RuntimeError):  # submitit's, with what sbatch said
            words = "; ".join(filter(None, str(error).splitlines()))
            raise DriverError(f"the driver can't be submitted: {words}") from None
        raise
    lock.hand_over(replace(launcher, job=job.job_id))
    return job


def wait(job: Any) -> int:
    """Wait for a driver, and return its exit status.

    Raises
    ------
    DriverError
        If it ended without an exit status.
    """
    if job.job_id.isdigit() and type(job).__name__ == "SlurmJob":
        while slurm.patiently(lambda: slurm.is_active(job.job_id), _say):
            time.sleep(slurm.INTERVAL)
    try:
        return int(job.result())
    except Exception as error:  # submitit's exceptions have many lines
        why = str(error).strip().splitlines()[0]
        raise DriverError(f"the driver ended early ({why}); its log: {job.paths.stderr}") from None
