"""Artifacts are compared with a study by what they are made of."""

import json
import os
from pathlib import Path

import pytest
import yaml

from collapse.artifacts import identity, sources
from collapse.artifacts.files import DamagedFileError
from collapse.errors import JobError
from collapse.loop import run
from collapse.results import gather
from stepping import Loop

MADE_OF = {"rule": "train", "version": 1, "step": {"seed": 3, "parameters": {"rate": 0.1}}}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def record(name, made_of):
    Path(name).write_text(json.dumps({"loss": 1.0, identity.KEY: made_of}))


def test_an_identity_depends_on_content_not_on_the_order_of_keys():
    one = identity.identity(MADE_OF)
    assert one == identity.identity(dict(reversed(MADE_OF.items())))
    assert one != identity.identity({**MADE_OF, "version": 2})
    record("training.json", MADE_OF)
    assert identity.identity(identity.recorded("training.json")) == one


@pytest.mark.parametrize("content", [None, "", "[1]", "{}", '{"made_of": {}}', '{"made_of": 3}'])
def test_what_notes_no_identity_is_accepted(content):
    if content is not None:
        Path("record.json").write_text(content)
    assert identity.recorded("record.json") is None
    identity.verify("record.json", "0" * 32)


@pytest.mark.parametrize("step", ["assemble", "train", "generate", "evaluate", "collect"])
def test_a_step_refuses_inputs_of_another_study(step):
    """Such as those that a job wrote that an earlier driver left in the queue."""
    loop = Loop()
    loop.run()
    chain = loop.chain()
    inputs = {
        "assemble": chain.shards(1)[0].record,
        "train": chain.training_set(2),
        "generate": chain.training(2),
        "evaluate": chain.training(2),
        "collect": chain.evaluation(2),
    }
    path = Path(inputs[step])
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, identity.KEY: MADE_OF}))
    expected = {str(path): identity.identity(MADE_OF)}
    assert loop.run_step(step, 2, expected) is None
    with pytest.raises(DamagedFileError, match=f"^{path}: found an artifact of another study"):
        loop.run_step(step, 2, {str(path): "0" * 32})


def test_a_chain_of_another_study_is_not_gathered():
    Path("chain.nc").unlink(missing_ok=True)
    loop = Loop()
    loop.run()
    loop.collect()
    spec = loop.study.chain("loop", loop.point, "replace").as_dict()
    with pytest.raises(DamagedFileError, match=r"another study \(samples 10 -> 11; evaluations"):
        gather.write(
            Path("metrics.nc"),
            chains=[({}, "collected.nc")],
            specifications=[{**spec, "samples": 11, "evaluations": "other"}],
            layout={"family": "gaussian"},
            study={},
            project=Path(),
        )


# Sources.


HARMLESS = (".DS_Store", "README.md", "LICENSE", "SHA256SUMS", "part/Thumbs.db", "__MACOSX/._x.txt")


def test_a_folder_counts_by_names_and_contents_not_by_times_or_harmless_files():
    folder = Path("data")
    (folder / "part").mkdir(parents=True)
    (folder / "part" / "one.txt").write_text("one")
    (folder / "two.txt").write_text("two")
    before = sources.checksums(["data"])
    os.utime(folder / "two.txt", (1, 1))
    (folder / "__MACOSX").mkdir()
    for name in HARMLESS:
        (folder / name).write_text("harmless")
        assert sources.checksums(["data"]) == before, name
    (folder / "two.txt").rename(folder / "three.txt")
    renamed = sources.checksums(["data"])
    (folder / "three.txt").write_text("TWO")
    assert len({str(found) for found in (before, renamed, sources.checksums(["data"]))}) == 3


def test_a_file_that_has_just_changed_may_change_again_at_the_same_time():
    """Clocks of file systems tick in milliseconds, or seconds, and sizes may be the same."""
    path = Path("data.txt")
    path.write_text("one")
    before, when = sources.checksums(["data.txt"]), path.stat().st_mtime_ns
    path.write_text("two")
    os.utime(path, ns=(when, when))
    assert sources.checksums(["data.txt"]) != before
    assert not Path(sources.NOTED).exists()


def test_an_unchanged_file_is_not_read_again(monkeypatch):
    Path("data.txt").write_text("text")
    monkeypatch.setattr(sources, "RECENT", -1)
    before = sources.checksums(["data.txt"])
    monkeypatch.setattr("collapse.artifacts.manifest.checksum", None)
    assert sources.checksums(["data.txt"]) == before
    Path(sources.NOTED).write_text("damaged")
    with pytest.raises(TypeError):  # now it would have to be read
        sources.checksums(["data.txt"])


def test_a_source_that_changes_while_a_run_is_on_stops_the_step():
    Path("data.txt").write_text("text")
    made_of = {"sources": sources.checksums(["data.txt"])}
    sources.verify(made_of)
    Path("data.txt").write_text("another text")
    with pytest.raises(JobError, match=r"^data\.txt: found another content"):
        sources.verify(made_of)
    Path("data.txt").unlink()
    with pytest.raises(JobError, match=r"^data\.txt: found nothing readable"):
        sources.verify(made_of)


# The snapshot of the study.

STUDY = {
    "experiments": {
        "loop": {"family": "gaussian", "regimes": ["replace"], "iterations": 3, "seeds": 2,
                 "samples": 10}
    }
}  # fmt: skip
CONFIG = {"study": "study.yaml", "environments": {"neural": "gpu", "other": "cpu"}}


def begin(main):
    return run.begin(CONFIG, [Path()], main=main)


def test_jobs_read_the_study_as_it_was_when_the_run_began(monkeypatch):
    monkeypatch.setenv(run.SNAPSHOT, "")
    Path("study.yaml").write_text(yaml.safe_dump(STUDY))
    driver = begin(main=True)
    driver.write_snapshot()
    Path("study.yaml").write_text("experiments: {}")
    assert begin(main=False) == driver


@pytest.mark.parametrize("content", [None, "", "{}", '{"study": {}, "sources": {}}'])
def test_a_job_without_a_snapshot_says_so_in_one_line(monkeypatch, content):
    monkeypatch.setenv(run.SNAPSHOT, "snapshot.json")
    if content is not None:
        Path("snapshot.json").write_text(content)
    with pytest.raises(SystemExit) as ended:
        begin(main=False)
    assert "found no snapshot of the run's study at snapshot.json" in str(ended.value)
    assert "\n" not in str(ended.value)
