"""What a submission finished before it failed is not done again, and does not stay for ever."""

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from collapse import families
from collapse.artifacts import restoring
from collapse.families.gaussian import steps as stepwise
from stepping import Loop

pytestmark = pytest.mark.usefixtures("at_home")


@pytest.fixture
def submission(monkeypatch):
    """Change the SLURM job that the steps are part of."""

    def change(number):
        monkeypatch.setenv("SLURM_JOB_ID", number)

    change("1")
    return change


@pytest.fixture
def worked(monkeypatch):
    """What a family really did."""
    done = []
    for name in ("train", "generate"):
        real = getattr(stepwise.STEPS, name)

        def counted(job, name=name, real=real):
            done.append(f"{name} {job.step.iteration}")
            return real(job)

        monkeypatch.setattr(stepwise, "STEPS", replace(stepwise.STEPS, **{name: counted}))
    return done


def outputs(chain, t):
    """Bytes of what an iteration's training and sampling made."""
    names = [chain.training(t), *sorted(map(str, Path(chain.model(t)).iterdir()))]
    names += [name for shard in chain.shards(t) for name in (shard.path, shard.record)]
    return {name: Path(name).read_bytes() for name in names}


def delete(chain, t):
    """Delete them, as Snakemake does after a failure."""
    for name in outputs(chain, t):
        Path(name).unlink()
    Path(chain.model(t)).rmdir()


def kept():
    return sorted(str(path.parent) for path in Path("results").rglob("finished.json"))


@pytest.mark.parametrize("links", [True, False])
def test_a_step_that_runs_again_takes_what_it_had_finished(
    submission, worked, monkeypatch, capsys, links
):
    """Where the file system has no hard links, it is copied."""

    def refuse(*_):
        raise PermissionError("this file system has none")

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    loop = Loop(shard_size=5)
    loop.iterate(1)
    before = outputs(loop.chain(), 1)
    delete(loop.chain(), 1)
    submission("2")
    loop.iterate(1)
    assert outputs(loop.chain(), 1) == before
    assert worked == ["train 1", "generate 1", "generate 1"]
    steps_done = ("train", "generate-0-5", "generate-5-10")
    said = [f"{step}: finished before, by job 1" for step in steps_done]
    assert capsys.readouterr().err.splitlines() == said


def test_it_costs_no_space_and_outlives_the_outputs(submission):
    loop = Loop()
    loop.iterate(1)
    folder = Path(loop.chain().model(1))
    (weights,) = folder.iterdir()
    copy = folder.parent / ".finished" / "train" / "files" / "model" / weights.name
    assert os.path.samefile(copy, weights)
    content = weights.read_bytes()
    delete(loop.chain(), 1)
    assert copy.read_bytes() == content


def damage(loop, monkeypatch):
    (copy,) = Path("results").rglob(".finished/train/files/model/*")
    content = copy.read_bytes()
    copy.unlink()
    copy.write_bytes(content[:-1])


def other_training_set(loop, monkeypatch):
    path = Path(loop.chain().training_set(1))
    path.write_text(json.dumps(json.loads(path.read_text()), indent=3))
    monkeypatch.setattr(Loop, "assemble", lambda *_: None)


def other_version(loop, monkeypatch):
    monkeypatch.setitem(families.load("gaussian").by_steps.versions, "train", 99)


def no_record(loop, monkeypatch):
    (record,) = Path("results").rglob(".finished/train/finished.json")
    record.write_text("{")


def unreadable(loop, monkeypatch):
    def refuse(_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(restoring, "_checksums", refuse)


@pytest.mark.parametrize(
    "change", [damage, other_training_set, other_version, no_record, unreadable]
)
def test_something_else_is_not_taken_for_it(submission, worked, monkeypatch, change):
    loop = Loop()
    loop.iterate(1)
    change(loop, monkeypatch)
    loop.iterate(1)
    assert worked.count("train 1") == 2


def test_nothing_is_kept_outside_of_slurm(worked, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    loop = Loop()
    loop.iterate(1)
    loop.iterate(1)
    assert worked == ["train 1", "generate 1"] * 2
    assert not list(Path("results").rglob(".finished"))


def test_a_later_submission_removes_it_and_the_end_of_the_chain_the_rest(submission):
    """An iteration a submission: what is kept is that of one iteration."""
    loop = Loop()
    for t in (1, 2, 3):
        submission(str(t))
        loop.iterate(t)
        assert {f"/iter{t}/" in name for name in kept()} == {True}
    submission("4")
    loop.collect()
    assert not list(Path("results").rglob(".finished"))


def test_a_chain_in_one_submission_keeps_all_of_it(submission, worked):
    """It is all deleted if its last step fails, however often."""
    loop = Loop()
    loop.run()
    before = outputs(loop.chain(), 2)
    for number in ("2", "3"):
        assert len(kept()) == 6
        for t in (1, 2, 3):
            delete(loop.chain(), t)
        submission(number)
        loop.run()
    assert outputs(loop.chain(), 2) == before
    assert len(worked) == 6
    submission("4")
    loop.collect()
    assert not list(Path("results").rglob(".finished"))


def test_a_full_disk_keeps_nothing_but_what_was_asked_for(submission, monkeypatch, capsys):
    loop = Loop()
    loop.assemble(1)

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(restoring, "_link", refuse)
    loop.train(1)
    assert Path(loop.chain().model(1)).is_dir() and not kept()
    assert "cannot be kept" in capsys.readouterr().err


def test_a_last_model_that_nobody_wants_is_not_kept_beyond_its_evaluation(submission):
    loop = Loop(iterations=1)
    loop.assemble(1)
    loop.train(1)
    loop.generate(1)
    chain = loop.chain()
    kept = [Path(folder, restoring.FOLDER) for folder in chain.folders(1)]
    assert all(folder.is_dir() for folder in kept)
    loop.evaluate(1, done_with=chain.folders(1))
    assert not any(folder.exists() for folder in kept)
