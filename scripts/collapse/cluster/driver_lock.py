"""The lock of a working directory, which one driver at a time holds; a dead one loses it."""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from collapse.cluster import slurm
from collapse.errors import JobError

#: The path of the lock in a working directory.
LOCK = Path(".snakemake", "driver.lock")


class DriverError(JobError):
    """A driver can't start, or failed; the message is one line."""


@dataclass(frozen=True)
class Holder:
    """The holder of a lock: a process, or a SLURM job that may not have started yet."""

    host: str
    pid: int
    started: float
    job: str = ""

    @classmethod
    def current(cls, job: str = "") -> Holder:
        """Return this process, or the job in which it runs, as a holder."""
        process = psutil.Process()
        return cls(socket.gethostname(), process.pid, process.create_time(), job)

    def __str__(self) -> str:
        return f"job {self.job}" if self.job else f"process {self.pid} on {self.host}"

    def is_alive(self) -> bool:
        """Tell whether the process or job still exists; a process on another host is assumed to.

        Raises
        ------
        SlurmError
            If SLURM does not answer.
        """
        if self.job:
            return slurm.is_active(self.job)
        if self.host != socket.gethostname():
            return True
        try:
            # After a reboot, another process may have the same number.
            return abs(psutil.Process(self.pid).create_time() - self.started) < 1
        except psutil.NoSuchProcess:
            return False


class Lock:
    """The lock of a working directory: a file that names its holder."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / LOCK

    def holder(self) -> Holder | None:
        """Return the holder, or None if the lock is free."""
        try:
            text = self.path.read_text(encoding="utf-8")
            if not text:  # it may be on its way (`_place`)
                time.sleep(1)
                text = self.path.read_text(encoding="utf-8")
            return Holder(**json.loads(text))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            raise DriverError(
                f"{self.path}: damaged; delete it if no driver is running here"
            ) from None

    def acquire(self, holder: Holder, heir_of: Holder | None = None) -> None:
        """Take the lock if it is free, if its holder is dead, or if that is ``heir_of``.

        Raises
        ------
        DriverError
            If another holder that is alive has it.
        """
        while True:
            with suppress(FileExistsError):
                return self._write(holder, _place)
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
        """Give the lock to another holder."""
        self._write(holder, os.replace)

    def release(self) -> None:
        """Give the lock up."""
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
        """Remove the lock of a dead holder; restore it if it is another's by now."""
        aside = self.path.with_name(f"{self.path.name}.{uuid.uuid4().hex}")
        with suppress(FileNotFoundError):
            os.rename(self.path, aside)
            if Holder(**json.loads(aside.read_text(encoding="utf-8"))) != dead:
                with suppress(FileExistsError):
                    _place(aside, self.path)
            aside.unlink()


def _place(whole: Path, path: Path) -> None:
    """Put a file at a path; raise `FileExistsError` if another is there already.

    Some file systems have no hard links. There the file is created empty, and another driver may
    see it so for a moment.
    """
    try:
        os.link(whole, path)
    except FileExistsError:
        raise
    except OSError:
        with path.open("x", encoding="utf-8") as lock:
            lock.write(whole.read_text(encoding="utf-8"))


def running_here(directory: Path) -> int | None:
    """Return the number of a process of this host that runs Snakemake in a directory, or None.

    Processes of Snakemake that run a job, not a workflow, don't count.
    """
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if not any(Path(word).name == "snakemake" for word in words[:4]) or "--mode" in words:
            continue
        with suppress(psutil.Error):
            if Path(process.cwd()) == directory and process.pid != os.getpid():
                return process.pid
    return None
