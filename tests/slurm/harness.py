"""A working directory whose jobs run on SLURM, and faults in these jobs."""

import contextlib
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import xarray as xr

from running import PROJECT, Workflow

CI = PROJECT / "config" / "studies" / "ci.yaml"
#: Those that a test has made.
CLUSTERS = []
LAUNCH = [sys.executable, str(PROJECT / "scripts" / "launch.py")]


@contextlib.contextmanager
def locked(path, how=fcntl.LOCK_EX):
    """Hold the lock of a file, which other processes of the tests see."""
    with path.open("w") as file:
        fcntl.flock(file, how)
        yield


def shared_folder(factory):
    """Return the folder that all processes of the tests share."""
    own = factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def undisturbed(factory, name, study, *targets):
    """Return the working directory of a run without SLURM, which one process makes for all."""
    shared = shared_folder(factory)
    here, took = Workflow(shared / name), shared / f"{name}.seconds"
    with locked(shared / f"{name}.lock"):
        if not took.exists():
            began = time.monotonic()
            here.directory.mkdir()
            if isinstance(study, dict):
                here.write(**study)
            else:
                here.study.symlink_to(study)
            here.run(*targets)
            took.write_text(str(time.monotonic() - began))
    here.seconds = float(took.read_text())
    return here


def slurm(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def until(holds, seconds=180):
    """Wait until a function returns a true value, and return that."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = holds()
        if found:
            return found
        time.sleep(0.5)
    raise AssertionError(f"{holds} did not hold within {seconds} s")


def state(job):
    return re.search(r"JobState=(\w+)", slurm("scontrol", "show", "job", job))[1]


def state_folder():
    """Return the folder of the cluster's files, which has the process numbers of its daemons."""
    shown = slurm("scontrol", "show", "config")
    return Path(shown.partition("StateSaveLocation")[2].split()[1]).parent


@contextlib.contextmanager
def controller_away(seconds):
    """Stop SLURM's controller for some seconds, or for as long as what is done meanwhile takes."""
    number = int((state_folder() / "slurmctld.pid").read_text())
    os.kill(number, signal.SIGTERM)
    until(lambda: not Path(f"/proc/{number}").exists())
    away = time.monotonic()
    try:
        yield
        time.sleep(max(0, away + seconds - time.monotonic()))
    finally:
        subprocess.run(["slurmctld"], check=True)
        until(lambda: subprocess.run(["sinfo"], capture_output=True).returncode == 0)


def start_at_once(job):
    """Start a job that SLURM queued again at once, without the usual wait of two minutes."""
    until(lambda: state(job) == "PENDING")
    slurm("scontrol", "update", f"JobId={job}", "StartTime=now")


def submissions(printed, name=""):
    """Return the numbers of the jobs that a driver submitted with a name in their logs' paths."""
    found = re.findall(r"submitted with SLURM jobid (\d+) \(log: (.*)\)", printed)
    return [number for number, log in found if name in log]


def kill(driver):
    """Kill a driver and its children at once, as if the machine went down."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()


class Cluster(Workflow):
    """A working directory on the cluster, and the options of its drivers.

    ``look`` is the interval in seconds at which Snakemake asks SLURM for the state of jobs; None
    leaves it to the profile.
    """

    def __init__(self, directory, study, *options, look=2):
        super().__init__(directory)
        self.drivers = []
        CLUSTERS.append(self)
        self.study = study
        self.profile = PROJECT / "profiles" / "slurm"
        self.faults = directory / "faults"
        self.faults.mkdir(parents=True)
        self.environment = {
            **os.environ,
            "FAULTS": str(self.faults),
            "PYTHONPATH": str(Path(__file__).with_name("faults")),
            **({"LOOK_EVERY": str(look)} if look else {}),
        }
        self.options = [*options, *("--latency-wait", "10"), *("--config", f"study={study}")]

    def command(self, *arguments):
        return [
            *(sys.executable, "-m", "snakemake", "--snakefile", str(PROJECT / "Snakefile")),
            *("--directory", str(self.directory), "--profile", str(self.profile)),
            *(*arguments, *self.options),
        ]

    def launch(self, *arguments):
        """Start a driver with the launcher."""
        where = ("--directory", str(self.directory), "--profile", str(self.profile))
        return self.start([*LAUNCH, *where, "--unchecked", *arguments, "--", *self.options])

    def start(self, command=None):
        """Start a driver in a session of its own, so that it can be killed with its children."""
        self.log = self.directory / f"driver-{time.monotonic_ns()}.log"
        with self.log.open("w") as log:
            driver = subprocess.Popen(
                command or self.command(),
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
            )
        self.drivers.append(driver)
        return driver

    def finish(self, driver, seconds=600):
        """Wait for a driver to end with status 0, and return what it printed."""
        try:
            status = driver.wait(timeout=seconds)
        finally:
            kill(driver)
        printed = self.log.read_text()
        assert status == 0, printed
        return printed

    def strike(self, name, matches, action, times=1):
        """Prepare a fault for jobs that match: `exit`, `allocate`, or `hold` until it is over."""
        (self.faults / f"{name}.fault").write_text(f"{matches}\n{action}\n{times}")

    def release(self, job):
        """Let a job go on that a fault holds."""
        (self.faults / f"over.{job}").touch()

    def struck(self, name, times=1):
        """Wait until a fault has struck, and return the job's number, or those of several."""

        def jobs():
            found = sorted(int(path.suffix[1:]) for path in self.faults.glob(f"{name}.[0-9]*"))
            return [*map(str, found)] if len(found) >= times else []

        found = until(jobs)
        return found[0] if times == 1 else found

    def begin_with(self, done, *missing):
        """Copy the results of a finished run, except datasets and files that match globs."""
        shutil.copytree(done, self.directory, dirs_exist_ok=True)
        self.remove(*missing, "results/*/metrics.nc")

    def remove(self, *patterns):
        """Remove the files and folders that match globs."""
        for pattern in patterns:
            removed = sorted(self.directory.glob(pattern))
            assert removed, pattern
            for path in removed:
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def leave(self):
        """Kill the drivers that a failed test left, and cancel the jobs of this directory."""
        for driver in self.drivers:
            if driver.poll() is None:
                kill(driver)
        for job in slurm("squeue", "--noheader", "--format=%i %Z").splitlines():
            number, place = job.split(" ", 1)
            if place.startswith(str(self.directory)):
                slurm("scancel", number)


def assert_same(one, other, experiments):
    """Assert that two runs made the same datasets; attributes differ between runs."""
    for name in experiments:
        found, expected = (
            xr.load_dataset(run.path(f"{name}/metrics.nc")).drop_attrs() for run in (one, other)
        )
        assert found.identical(expected), name
