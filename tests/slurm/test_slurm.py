"""A real SLURM: the same numbers as on this machine, whatever happens. See `make slurm-test`.

Every fault ends in the numbers of an undisturbed local run.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
import xarray as xr

from collapse import study, waiting
from running import PROJECT, Workflow

STUDY = {
    "gaussian": {
        "family": "gaussian",
        "regimes": ["replace", "accumulate", "accumulate-subsample"],
        "iterations": 5,
        "seeds": 3,
        "samples": 10,
        "grid": {"dimension": [1, 2], "variance": [1.0]},
    },
    "steps": {
        "family": "gaussian",
        "per_iteration": True,
        "regimes": ["replace"],
        "iterations": 2,
        "seeds": 1,
        "samples": 10,
        "grid": {"dimension": 2},
    },
}
METRICS = ["results/gaussian/metrics.nc", "results/steps/metrics.nc"]
LAUNCH = [sys.executable, str(PROJECT / "scripts" / "launch.py")]

#: One chain of each regime and dimension, as the command line of its job has it.
REPLACE, LARGER = "dimension=1 regime=replace", "chain: dimension=2 regime=replace"
SUBSAMPLE = "dimension=1 regime=accumulate-subsample"


CHAIN = "results/gaussian/dimension=1__*/replace.nc"


def slurm(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def until(holds, seconds=90):
    """Wait until something holds, and return it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = holds()
        if found:
            return found
        time.sleep(0.5)
    raise AssertionError(f"{holds} did not hold within {seconds} s")


class Undisturbed(NamedTuple):
    """Numbers of a local run, the seconds that it took, and where it was."""

    numbers: list
    seconds: float
    directory: Path


class Cluster(Workflow):
    """A working directory whose jobs go to SLURM, and the faults that strike them."""

    def __init__(self, directory, gpu=0):
        super().__init__(directory)
        self.profile = PROJECT / "profiles" / "slurm"
        self.faults = directory / "faults"
        self.faults.mkdir(parents=True)
        self.write(**STUDY)
        self.environment = {
            **os.environ,
            "FAULTS": str(self.faults),
            "PYTHONPATH": str(Path(__file__).with_name("faults")),
        }
        self.options = [
            *METRICS,
            # One job a submission, so that each fault has one of its own.
            *("--group-components", "chains=1"),
            *("--set-resources", "chain:mem_mb=500 * attempt", f"train:gpu={gpu}"),
            *("--slurm-init-seconds-before-status-checks", "2"),
            *("--latency-wait", "10", "--config", f"study={self.study}"),
        ]

    def command(self, *arguments):
        return [
            *(sys.executable, "-m", "snakemake", "--snakefile", str(PROJECT / "Snakefile")),
            *("--directory", str(self.directory), "--profile", str(self.profile)),
            *(*arguments, *self.options),
        ]

    def launch(self, *arguments):
        """Start a driver by the launcher."""
        return self.start(
            [
                *(*LAUNCH, "--directory", str(self.directory), "--profile", str(self.profile)),
                *("--unchecked", *arguments, "--", *self.options),
            ]
        )

    def start(self, command=None):
        """Start a driver in a session of its own, so that it can be killed whole."""
        self.log = self.directory / f"driver-{time.monotonic_ns()}.log"
        with self.log.open("w") as log:
            return subprocess.Popen(
                command or self.command(),
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
            )

    def finish(self, driver, seconds=400):
        """Wait for a driver to end well, and return what it printed."""
        try:
            status = driver.wait(timeout=seconds)
        finally:
            kill(driver)
        printed = self.log.read_text()
        assert status == 0, printed
        return printed

    def strike(self, name, matches, action, times=1):
        """Prepare a fault: `exit`, `allocate`, or seconds of sleep."""
        (self.faults / f"{name}.fault").write_text(f"{matches}\n{action}\n{times}")

    def struck(self, name):
        """Wait for a fault, and return the number of its job."""
        (found, *_) = until(lambda: sorted(self.faults.glob(f"{name}.[0-9]*")))
        return found.suffix[1:]

    def begin_with(self, done, *missing):
        """Take over the results of a finished run, but those of some globs and what follows."""
        shutil.copytree(done, self.directory, dirs_exist_ok=True)
        self.remove(*missing, "results/*/metrics.nc")

    def remove(self, *patterns):
        """Remove what globs match."""
        for pattern in patterns:
            removed = sorted(self.directory.glob(pattern))
            assert removed, pattern
            for path in removed:
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def numbers(self):
        return [xr.load_dataset(self.directory / path).drop_attrs() for path in METRICS]


def kill(driver):
    """Kill a driver and its children, as a machine that goes down does."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()


def state(job):
    return re.search(r"JobState=(\w+)", slurm("scontrol", "show", "job", job))[1]


def start_at_once(job):
    """Start a job that SLURM queued again, for which it would wait two minutes."""
    until(lambda: state(job) == "PENDING")
    slurm("scontrol", "update", f"JobId={job}", "StartTime=now")


def submissions(printed):
    return re.findall(r"has been submitted with SLURM jobid (\d+)", printed)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A local run."""
    here = Workflow(tmp_path_factory.mktemp("here"))
    here.write(**STUDY)
    began = time.monotonic()
    here.run(*METRICS)
    took = time.monotonic() - began
    numbers = [xr.load_dataset(here.directory / path).drop_attrs() for path in METRICS]
    return Undisturbed(numbers, took, here.directory)


@pytest.fixture
def cluster(tmp_path, undisturbed):
    """A working directory; in the end it holds the numbers of the undisturbed run."""
    cluster = Cluster(tmp_path / "cluster")
    yield cluster
    for job in slurm("squeue", "--noheader", "--format=%i %Z").splitlines():
        number, place = job.split(" ", 1)
        if place.startswith(str(cluster.directory)):
            slurm("scancel", number)
    for found, expected in zip(cluster.numbers(), undisturbed.numbers, strict=True):
        assert found.identical(expected)


def test_a_cluster_gives_the_numbers_of_a_laptop(tmp_path, undisturbed, tell):
    cluster = Cluster(tmp_path / "cluster", gpu=1)
    cluster.options[cluster.options.index("chains=1")] = "chains=6"
    began = time.monotonic()
    printed = cluster.finish(cluster.start())
    took = time.monotonic() - began
    for found, expected in zip(cluster.numbers(), undisturbed.numbers, strict=True):
        assert found.identical(expected)
    jobs = submissions(printed)
    shown = [slurm("scontrol", "show", "job", job) for job in jobs]
    batches = [one for one in shown if "chains" in one]
    trainings = [one for one in shown if "training-steps" in one]
    samplings = [one for one in shown if "sampling-steps" in one]
    # 6 chains in one submission of one core and no GPU, an iteration in two, of which its
    # training has a GPU.
    assert len(batches) == 1 and "NumCPUs=1 " in batches[0] and "gpu" not in batches[0]
    assert len(trainings) == 2 and all("gres:gpu:1" in one for one in trainings)
    assert len(samplings) == 2 and not any("gres:gpu" in one for one in samplings)
    count = int(re.search(r"(\d+) of \1 steps", printed)[1])
    tell(
        f"{count} jobs in {len(jobs)} submissions: {took:.0f} s, {took / count:.1f} s a job; "
        f"locally {undisturbed.seconds:.0f} s, {undisturbed.seconds / count:.1f} s a job"
    )
    tell(waiting.render(cluster.directory, study.load(cluster.study)))


def test_failing_jobs_are_run_again(cluster, tell):
    """Cancelled, killed for memory, out of time, exit 1: each once, in one run."""
    cluster.strike("cancelled", REPLACE, 300)
    cluster.strike("memory", LARGER, "allocate")
    cluster.strike("time", SUBSAMPLE, 300)
    cluster.strike("exit", "train: iteration=2", "exit")
    driver = cluster.start()
    slurm("scontrol", "update", f"JobId={cluster.struck('time')}", "TimeLimit=1")
    slurm("scancel", cluster.struck("cancelled"))
    printed = cluster.finish(driver)
    assert printed.count("Trying to restart") == 4, printed
    for name, states, what in (
        ("cancelled", {"CANCELLED"}, "scancel of a running job"),
        ("memory", {"OUT_OF_MEMORY", "FAILED", "CANCELLED"}, "out of memory once"),
        # SIGTERM comes two minutes before the limit: who does not save its state ends of it.
        ("time", {"TIMEOUT", "FAILED"}, "time limit"),
        ("exit", {"FAILED"}, "exit 1 once, in a training"),
    ):
        ended = state(cluster.struck(name))
        assert ended in states
        tell(f"{what:<34} {ended}; submitted again by the profile's retries")


def test_a_controller_and_a_node_may_go_down(cluster, undisturbed, tell):
    cluster.begin_with(undisturbed.directory, CHAIN)
    cluster.strike("slow", REPLACE, 40)
    driver = cluster.start()
    job = cluster.struck("slow")
    folder = Path(slurm("scontrol", "show", "config").partition("StateSaveLocation")[2].split()[1])
    controller = int((folder.parent / "slurmctld.pid").read_text())
    os.kill(controller, signal.SIGTERM)
    until(lambda: not Path(f"/proc/{controller}").exists())
    time.sleep(5)
    subprocess.run(["slurmctld"], check=True)
    until(lambda: subprocess.run(["sinfo"], capture_output=True).returncode == 0)
    assert state(job) == "RUNNING"
    tell(f"{'slurmctld restarted':<34} the job went on running")
    node = re.search(r"\bNodeList=(\w+)", slurm("scontrol", "show", "job", job))[1]
    jobs = slurm("squeue", "--noheader", "--format=%i", "--nodelist", node).split()
    # Its processes die with it, and SLURM, which would wait for five minutes, is told at once.
    os.kill(int((folder.parent / f"{node}.pid").read_text()), signal.SIGKILL)
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            inside = process.environ().get("SLURM_JOB_ID") in jobs
            if inside or any(f"[{one}." in " ".join(process.cmdline()) for one in jobs):
                process.kill()
    slurm("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")
    try:
        for one in jobs:
            start_at_once(one)
        cluster.finish(driver)
    finally:
        subprocess.run(["slurmd", "-N", node], check=True)
        slurm("scontrol", "update", f"NodeName={node}", "State=RESUME")
    again = re.search(r"Restarts=(\d+)", slurm("scontrol", "show", "job", job))
    assert state(job) == "COMPLETED" and again[1] == "1"
    tell(f"{'a node down':<34} SLURM ran the job again elsewhere, by the profile's slurm-requeue")


def test_a_new_driver_goes_on_where_a_killed_one_was(cluster, undisturbed, tell):
    """Killed twice: what was in the queue is awaited the first time, then cancelled."""
    cluster.begin_with(undisturbed.directory, CHAIN)
    cluster.strike("awaited", REPLACE, 20)
    first = cluster.launch("--cluster", "debug")
    awaited = cluster.struck("awaited")
    second = subprocess.run(
        [*LAUNCH, "--directory", cluster.directory, "--cluster", "debug", "--unchecked"],
        capture_output=True,
        text=True,
    )
    assert second.returncode == 1
    assert second.stderr.count("\n") == 1 and "is driving here already" in second.stderr
    tell(f"{'two drivers':<34} {second.stderr.strip().replace(str(cluster.directory), 'DIR')}")
    kill(first)
    assert state(awaited) == "RUNNING"

    cluster.remove("results/steps/**/iter2", "results/steps/*/replace.nc")
    cluster.strike("cancelled", "train: iteration=2", 300)
    driver = cluster.launch("--cluster", "debug", "--orphans", "await")
    cancelled = cluster.struck("cancelled")
    printed = cluster.log.read_text()
    assert "waiting for" in printed
    assert state(awaited) == "COMPLETED"
    assert "chain" not in printed.partition("Job stats")[2].partition("total")[0]
    kill(driver)
    tell(f"{'kill -9 of the driver':<34} the new one awaited its jobs, and kept what they wrote")

    driver = cluster.launch("--cluster", "debug", "--orphans", "cancel")
    cluster.finish(driver)
    assert state(cancelled) == "CANCELLED"
    tell(f"{'kill -9 of the driver, again':<34} the new one cancelled its jobs, and ran them again")


def test_the_driver_as_a_job_queues_again_before_its_limit(cluster, undisturbed, tell):
    cluster.begin_with(undisturbed.directory, CHAIN)
    cluster.strike("slow", REPLACE, 15)
    driver = cluster.launch("--minutes", "60", "--wait")
    job = until(lambda: re.search(r"the driver is job (\d+)", cluster.log.read_text()))[1]
    slow = cluster.struck("slow")
    slurm("scancel", "--signal=USR2", job)  # as SLURM does, two minutes before the limit
    start_at_once(job)
    cluster.finish(driver)
    assert state(slow) == "COMPLETED"
    tell(f"{'time limit of the driver':<34} it queued again, and went on; its jobs never stopped")


def test_a_full_disk(cluster, undisturbed, tell):
    """The job fails with one line, and leaves no file; with space again, it is made."""
    results = cluster.directory / "results"
    results.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", results], check=True)
    try:
        cluster.begin_with(undisturbed.directory, CHAIN)
        filler = results / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as filling:
            while filling.write(bytes(4096)):
                pass
        driver = cluster.start(cluster.command("--retries", "0"))
        assert driver.wait(timeout=200) != 0
        assert not list(cluster.directory.glob(CHAIN))
        (log,) = cluster.directory.glob("logs/chain/gaussian/dimension=1__*/replace.log")
        said = log.read_text()
        assert said.startswith("error: ") and said.count("\n") == 1
        filler.unlink()
        cluster.finish(cluster.start())
        kept = cluster.directory / "kept"
        shutil.copytree(results, kept)
    finally:
        subprocess.run(["umount", "--lazy", results], check=True)
    results.rmdir()
    kept.rename(results)
    tell(f"{'a full disk':<34} the job failed; run again with space, it was made")
