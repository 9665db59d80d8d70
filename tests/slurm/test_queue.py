"""Submissions that SLURM refuses, and a controller that is away."""

import re
import shutil

import pytest

from collapse.cluster import preflight
from collapse.cluster.slurm import PATIENCE, jobs_of
from harness import (
    Cluster,
    assert_same,
    controller_away,
    slurm,
    state,
    submissions,
    undisturbed,
    until,
)
from running import PROJECT, Workflow

STUDY = {
    "gaussian": {
        "family": "gaussian", "regimes": ["replace"],
        "iterations": 3, "seeds": 2, "samples": 10, "grid": {"dimension": [1, 2]},
    },
}  # fmt: skip
#: Three jobs in closed form, in two submissions.
THREE = {"gaussian": {**STUDY["gaussian"], "grid": {"dimension": [1, 2, 3]}}}
METRICS = "results/gaussian/metrics.nc"


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Return the working directory of an undisturbed local run."""
    return undisturbed(tmp_path_factory, "queue", STUDY, METRICS)


def partition(is_now):
    slurm("scontrol", "update", "PartitionName=batch", f"State={is_now}")


def jobs_in(submission):
    """Return the number of Snakemake's jobs in a submission."""
    return slurm("scontrol", "write", "batch_script", submission, "-").count("chains:experiment=")


@pytest.mark.alone
def test_drivers_outlive_a_controller_that_is_away(tmp_path, tell):
    """Of three drivers, one has jobs running, one is refused, one starts while it is away.

    It is away for longer than any command of SLURM may take, after which it is given up, and for
    many times the pauses between submissions, which are shorter here. One of the submissions that
    run goes from one job to the next meanwhile, and ends; the other ends later.
    """
    here = Workflow.ran(tmp_path / "undisturbed", METRICS, **THREE)
    running, refused, started = (
        Cluster(tmp_path / name, here.study, METRICS) for name in ("running", "refused", "started")
    )
    running.strike("held", "chains:", "hold", times=2)
    running.options += ["--group-components", "closed-form=2"]
    drivers = [(running, running.start())]
    lasts, ends = sorted(running.struck("held", times=2), key=jobs_in)
    assert (jobs_in(lasts), jobs_in(ends)) == (1, 2)
    partition("DRAIN")
    drivers.append((refused, refused.start()))
    said = "Required partition not available (inactive or drain). It will be made again."
    try:
        until(lambda: said in refused.log.read_text())
        with controller_away(PATIENCE + 15):
            running.release(ends)
            drivers.append((started, started.start()))
            away = "Unable to contact slurm controller"
            until(lambda: away in running.log.read_text() and away in started.log.read_text())
        assert state(lasts) == "RUNNING"
        running.release(lasts)
    finally:
        partition("UP")
    printed = [cluster.finish(driver) for cluster, driver in drivers]
    assert {state(ends), state(lasts)} == {"COMPLETED"}
    assert printed[0].count("The queue does not answer") == 1
    assert "The queue answers again" in printed[0]
    assert all("SLURM accepts submissions again" in each for each in printed[1:])
    assert not any("Trying to restart" in each for each in printed)
    for cluster, _ in drivers:
        assert_same(cluster, here, THREE)
    tell(f"{'slurmctld away for 75 s':<34} jobs went on, and drivers did once it answered")
    tell(f"{'a driver started meanwhile':<34} it submitted its jobs once slurmctld answered")
    tell(f"{'a drained partition':<34} the driver said so, and submitted again when it was up")


def test_what_cannot_be_submitted_is_told_within_a_minute(tmp_path, here, tell):
    """A group that Snakemake's executor refuses, and one that sbatch refuses; others go on."""
    refused = ("chains:slurm_extra='--account=mine'",), ("chains:mem_mb=900000",)
    clusters = [
        Cluster(tmp_path / str(number), here.study, METRICS, "--set-resources", *each)
        for number, each in enumerate(refused)
    ]
    drivers = [cluster.start() for cluster in clusters]
    said = []
    for cluster, driver in zip(clusters, drivers, strict=True):
        assert driver.wait(timeout=60) == 1
        log = cluster.log.read_text()
        (line,) = [
            line for line in log.splitlines() if line.startswith("error: closed-form_chains")
        ]
        said.append(line.partition("be submitted: ")[2])
        assert "Trying to restart" not in log
    assert said[0].startswith("The --account option is not allowed in the 'slurm_extra'")
    assert "Memory specification can not be satisfied" in said[1]
    tell(f"{'a group that cannot be submitted':<34} {said[0].partition('.')[0]}")
    tell(f"{'sbatch refuses for good':<34} {said[1]}")


#: Submits, but answers the first time that the controller did not.
LOSES_AN_ANSWER = """#!/bin/sh
{sbatch} "$@" || exit
mkdir "$FAULTS/lost" 2>/dev/null || exit 0
echo "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation" >&2
exit 1
"""


def test_a_submission_whose_answer_was_lost_is_not_made_twice(tmp_path, here, tell):
    cluster = Cluster(tmp_path / "cluster", here.study, METRICS)
    wrapper = tmp_path / "bin" / "sbatch"
    wrapper.parent.mkdir()
    wrapper.write_text(LOSES_AN_ANSWER.format(sbatch=shutil.which("sbatch")))
    wrapper.chmod(0o755)
    cluster.environment["PATH"] = f"{wrapper.parent}:{cluster.environment['PATH']}"
    printed = cluster.finish(cluster.start())
    (chains,) = re.findall(r"Job (\d+) was submitted, although SLURM said: .*Socket timed", printed)
    (results,) = submissions(printed)
    assert {job.number for job in jobs_of(cluster.directory)} == {chains, results}
    assert_same(cluster, here, STUDY)
    tell(f"{'the answer to a submission is lost':<34} its job was found in the queue")


def test_a_submission_that_can_never_start_is_told_and_found_beforehand(tmp_path, here, tell):
    ask = "chains: {mem_mb: 2000 * attempt, runtime: 5 * attempt}"
    asked = "chains: {runtime: 50 * attempt, slurm_partition: short}"
    profile = (PROJECT / "profiles" / "slurm" / "config.yaml").read_text()
    assert ask in profile
    cluster = Cluster(tmp_path / "cluster", here.study, METRICS)
    cluster.profile = cluster.directory / "profile"
    cluster.profile.mkdir()
    (cluster.profile / "config.yaml").write_text(profile.replace(ask, asked))
    slurm("scontrol", "create", "PartitionName=short", "Nodes=ALL", "MaxTime=60")
    try:
        look = preflight.examine(
            cluster.profile, cluster.directory, ["--config", f"study={here.study}"]
        )
        (fault,) = [str(finding) for finding in look if finding.remedy]
        assert (
            "submission closed-form (2 chains): asks for 100 min, at attempt 3 for 300, and"
            in fault
        )
        assert (
            "the limit of partition short is 60. In the profile set runtime: min(30, 10 * attempt)"
            in fault
        )
        cluster.start()
        try:
            said = "does not start, because SLURM says PartitionTimeLimit"
            until(lambda: said in cluster.log.read_text())
        finally:
            cluster.leave()
    finally:
        slurm("scontrol", "delete", "PartitionName=short")
    tell(f"{'longer than the partition allows':<34} make doctor and the driver say so")
