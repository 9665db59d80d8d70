"""Faults on a real SLURM: after each, the numbers are those of an undisturbed local run."""

import contextlib
import os
import re
import shutil
import signal
import subprocess

import psutil
import pytest

from collapse.cluster.slurm import ENDED, jobs_of
from harness import (
    LAUNCH,
    Cluster,
    assert_same,
    kill,
    slurm,
    start_at_once,
    state,
    state_folder,
    undisturbed,
    until,
)

STUDY = {
    "gaussian": {
        "family": "gaussian", "regimes": ["replace", "accumulate-subsample"],
        "iterations": 5, "seeds": 3, "samples": 10,
        "grid": {"dimension": [1, 2, 3], "variance": [1.0]},
    },
    "steps": {
        "family": "gaussian", "per_iteration": True, "regimes": ["replace"],
        "iterations": 2, "seeds": 1, "samples": 10, "grid": {"dimension": 2},
    },
}  # fmt: skip
METRICS = [f"results/{name}/metrics.nc" for name in STUDY]

#: The chains of each dimension, as the command line of their job has them.
SMALL, LARGER, LARGEST = (f"chains: dimension={dimension}" for dimension in (1, 2, 3))

CHAIN = "results/gaussian/dimension=1__*/replace.nc"


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Return the working directory of an undisturbed local run."""
    return undisturbed(tmp_path_factory, "faults", STUDY, *METRICS)


@pytest.fixture
def cluster(tmp_path, here):
    """Yield a working directory, and check its numbers against the undisturbed run at the end."""
    # A submission holds one job, so that each fault strikes a submission of its own.
    alone = (
        "--group-components",
        "closed-form=1",
        "--set-resources",
        "chains:mem_mb=500 * attempt",
    )
    cluster = Cluster(tmp_path / "cluster", here.study, *METRICS, *alone)
    yield cluster
    assert_same(cluster, here, STUDY)


def test_failing_jobs_are_run_again(cluster, tell):
    """In one run, jobs are cancelled, killed for memory, out of time, and end with status 1."""
    cluster.strike("cancelled", SMALL, "hold")
    cluster.strike("memory", LARGER, "allocate")
    cluster.strike("time", LARGEST, "hold")
    cluster.strike("exit", "whole_chain: iteration=2", "exit")
    driver = cluster.start()
    slurm("scontrol", "update", f"JobId={cluster.struck('time')}", "TimeLimit=1")
    slurm("scancel", cluster.struck("cancelled"))
    printed = cluster.finish(driver)
    assert printed.count("Trying to restart") == 4, printed
    assert len(re.findall(r"^error: .* \(SLURM job \d+, log .*\d\.log\): ", printed, re.M)) == 4
    for name, states, what in (
        ("cancelled", {"CANCELLED"}, "scancel of a running job"),
        ("memory", {"OUT_OF_MEMORY", "FAILED", "CANCELLED"}, "out of memory once"),
        # SIGTERM comes two minutes before the limit, and ends a job that does not save its state.
        ("time", {"TIMEOUT", "FAILED"}, "time limit"),
        ("exit", {"FAILED"}, "exit 1 once, in a training"),
    ):
        ended = state(cluster.struck(name))
        assert ended in states
        tell(f"{what:<34} {ended}; submitted again by the profile's retries")


def test_a_node_may_go_down(cluster, here, tell):
    """In a partition of its own, so that no job of another test is on the node."""
    cluster.begin_with(here.directory, CHAIN)
    cluster.strike("held", SMALL, "hold")
    cluster.options += ["--set-resources", "chains:slurm_partition=spare"]
    driver = cluster.start()
    job = cluster.struck("held")
    assert re.search(r"\bPartition=spare\b", slurm("scontrol", "show", "job", job))
    node = re.search(r"\bNodeList=(\w+)", slurm("scontrol", "show", "job", job))[1]
    # The node's processes are killed with it, and SLURM, which would wait five minutes, is told.
    os.kill(int((state_folder() / f"{node}.pid").read_text()), signal.SIGKILL)
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            inside = process.environ().get("SLURM_JOB_ID") == job
            if inside or f"[{job}." in " ".join(process.cmdline()):
                process.kill()
    slurm("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")
    try:
        start_at_once(job)
        cluster.finish(driver)
    finally:
        subprocess.run(["slurmd", "-N", node], check=True)
        # SLURM refuses this if the node has come back by itself, which is as good.
        subprocess.run(["scontrol", "update", f"NodeName={node}", "State=RESUME"])
        shown = ("sinfo", "--noheader", f"--nodes={node}", "--format=%t")
        until(lambda: set(slurm(*shown).split()) <= {"idle", "mix", "alloc"})
    again = re.search(r"Restarts=(\d+)", slurm("scontrol", "show", "job", job))
    assert state(job) == "COMPLETED" and again[1] == "1"
    tell(f"{'a node down':<34} SLURM ran the job again elsewhere, by the profile's slurm-requeue")


def test_a_new_driver_goes_on_where_a_killed_one_was(cluster, here, tell):
    """The driver is killed twice; its jobs are awaited the first time and cancelled the second."""
    cluster.begin_with(here.directory, CHAIN)
    cluster.strike("awaited", SMALL, "hold")
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

    # Whatever else the first driver submitted has ended, and its dataset is not there.
    others = [job for job in jobs_of(cluster.directory) if job.number != awaited]
    until(lambda: all(state(job.number) in ENDED for job in others))
    cluster.remove("results/steps/**/iter2", "results/steps/*/replace.nc")
    cluster.path("steps/metrics.nc").unlink(missing_ok=True)
    cluster.strike("cancelled", "whole_chain: iteration=2", "hold")
    driver = cluster.launch("--cluster", "debug", "--orphans", "await")
    until(lambda: "waiting for" in cluster.log.read_text())
    cluster.release(awaited)
    cancelled = cluster.struck("cancelled")
    printed = cluster.log.read_text()
    assert state(awaited) == "COMPLETED"
    planned = printed.partition("Job stats")[2].partition("total")[0]
    assert not re.search(r"^chains? ", planned, re.MULTILINE) and "whole_chain" in planned
    kill(driver)
    tell(f"{'kill -9 of the driver':<34} the new one awaited its jobs, and kept what they wrote")

    driver = cluster.launch("--cluster", "debug", "--orphans", "cancel")
    cluster.finish(driver)
    assert state(cancelled) == "CANCELLED"
    tell(f"{'kill -9 of the driver, again':<34} the new one cancelled its jobs, and ran them again")


def test_the_driver_as_a_job_queues_again_before_its_limit(cluster, here, tell):
    cluster.begin_with(here.directory, CHAIN)
    cluster.strike("held", SMALL, "hold")
    driver = cluster.launch("--minutes", "60", "--wait")
    job = until(lambda: re.search(r"the driver is job (\d+)", cluster.log.read_text()))[1]
    held = cluster.struck("held")
    slurm("scancel", "--signal=USR2", job)  # as SLURM does, two minutes before the limit
    start_at_once(job)
    until(lambda: state(job) == "RUNNING")
    cluster.release(held)
    cluster.finish(driver)
    assert state(held) == "COMPLETED"
    tell(f"{'time limit of the driver':<34} it queued again, and went on; its jobs never stopped")


def test_a_full_disk(cluster, here, tell):
    """The job fails with one line and leaves no file; when there is space, it runs again."""
    results = cluster.directory / "results"
    results.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", results], check=True)
    try:
        cluster.begin_with(here.directory, CHAIN)
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
        printed = cluster.log.read_text()
        assert f"{log.relative_to(cluster.directory)}: {said.strip()}" in printed
        filler.unlink()
        cluster.finish(cluster.start())
        kept = cluster.directory / "kept"
        shutil.copytree(results, kept)
    finally:
        subprocess.run(["umount", "--lazy", results], check=True)
    results.rmdir()
    kept.rename(results)
    tell(f"{'a full disk':<34} the job failed; run again with space, it was made")
