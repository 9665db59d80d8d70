"""The right to drive a working directory: one driver at a time, and dead ones are found out."""

from __future__ import annotations

import json
import os
import socket
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from collapse.cluster import slurm
from collapse.errors import JobError

#: Where the lock is, in a working directory.
LOCK = Path(".snakemake", "driver.lock")


class DriverError(JobError):
    """A driver that can't start, in one line."""


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
            return slurm.is_active(self.job)
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
