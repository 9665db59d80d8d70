"""Trainings of language models on a cluster, which are interrupted, or have several ranks."""

import json
import re

import pytest

from harness import Cluster, assert_same, slurm, start_at_once, state, submissions, until

POINT = "results/language-model/model=tiny__temperature=1.0__samples=100"
LAST = f"{POINT}/replace/seed0/iter2"
#: In the path of the log of a submission with the chains of a seed.
CHAIN = "group_seed-language-model-0_"


def going_on(cluster, job):
    """Return the update after which a job's training continued from a saved state."""
    found = re.search(r"going on after step (\d+) of 50", printed_by(cluster, job))
    return found and int(found[1])


def printed_by(cluster, job):
    """Return what a job has printed so far."""
    logs = cluster.directory.glob(f".snakemake/slurm_logs/*/{job}.log")
    return "".join(log.read_text() for log in logs)


def test_a_training_goes_on_wherever_it_was_stopped(tmp_path, ci, tell):
    """A time limit and a preemption stop a training; its model outlives a failure after it."""
    kept = "--slurm-keep-successful-logs"
    cluster = Cluster(tmp_path / "cluster", ci.study, "results/language-model/metrics.nc", kept)
    slow = cluster.faults / "slow"
    slow.write_text("1.2")  # 50 updates take a minute, and SLURM looks at time limits twice in it
    cluster.begin_with(ci.directory, LAST, f"{POINT}/replace.nc")
    driver = cluster.start()

    until((cluster.faults / "trains").exists)
    (first,) = submissions(cluster.log.read_text(), CHAIN)
    slurm("scontrol", "update", f"JobId={first}", "TimeLimit=1")
    (second,) = until(lambda: submissions(cluster.log.read_text(), CHAIN)[1:])
    stopped = until(lambda: going_on(cluster, second))
    assert 0 < stopped < 50
    tell(f"{'time limit of a training':<34} {state(first)}; the next went on after step {stopped}")

    slurm("scontrol", "requeue", second)
    start_at_once(second)
    # The log of a job that SLURM queued again is overwritten.
    preempted = until(lambda: going_on(cluster, second) != stopped and going_on(cluster, second))
    assert stopped < preempted < 50
    tell(f"{'preemption of a training':<34} queued again; it went on after step {preempted}")

    stay = cluster.faults / "stay"
    stay.touch()
    slow.unlink()
    model = cluster.directory / LAST / "model"
    until(model.with_name("training.json").exists)
    slurm("scancel", second)
    until(lambda: state(second) == "CANCELLED")
    stay.unlink()
    trained = model.stat().st_mtime_ns
    cluster.finish(driver)
    assert model.stat().st_mtime_ns == trained
    tell(f"{'scancel after a training':<34} its submission ran again, but did not train again")

    assert_same(cluster, ci, ["language-model"])
    weights = f"{LAST}/model/model.safetensors"
    assert (cluster.directory / weights).read_bytes() == (ci.directory / weights).read_bytes()


def test_two_ranks_train_what_one_does(tmp_path, ci, tell):
    """Two ranks train on two GPUs of one node, and on one GPU of each of two nodes."""
    one_rank = json.loads((ci.directory / LAST / "training.json").read_text())["curve"]
    ways = {
        "two ranks on a node": ["whole_chain:gpu=2"],
        "two ranks on two nodes": [
            f"whole_chain:{each}" for each in ("gpu=0", "gres='gpu:1'", "nodes=2")
        ],
    }
    started = {}
    for way, resources in ways.items():
        options = (f"{LAST}/chain.json", "--set-resources", *resources)
        cluster = Cluster(tmp_path / way.replace(" ", "-"), ci.study, *options)
        cluster.begin_with(ci.directory, LAST)
        started[way] = cluster, cluster.start()
    for way, (cluster, driver) in started.items():
        (job,) = submissions(cluster.finish(driver))
        shown = slurm("scontrol", "show", "job", job)
        assert ("NumNodes=2" in shown) == ("gres:gpu:2" not in shown)
        record = json.loads((cluster.directory / LAST / "training.json").read_text())
        assert record["ranks"] == 2
        for point, expected in zip(record["curve"], one_rank, strict=True):
            assert point == pytest.approx(expected, rel=1e-4)
        losses = record["curve"][-1]["test_loss"], one_rank[-1]["test_loss"]
        tell(f"{way:<34} test loss {losses[0]:.7f}, in one rank {losses[1]:.7f}")
