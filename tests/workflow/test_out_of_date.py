"""What runs again after a change: only what the change concerns (docs/out-of-date.md).

The table there has a row for each test here, and Snakemake's dry run is the witness.
"""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from collapse.artifacts import chain_file, sources
from collapse.loop.inputs import Inputs
from collapse.loop.run import named_sources
from collapse.study import load
from running import PROJECT, Workflow
from versioning import raised

CLOSED = {
    "family": "gaussian",
    "regimes": ["replace", "accumulate"],
    "iterations": 3,
    "seeds": 3,
    "samples": 10,
    "grid": {"dimension": [2]},
}
STEPS = {**CLOSED, "per_iteration": True, "iterations": 2, "seeds": 1, "keep_models": "none"}
#: The jobs that make results of one experiment anew, and those of all experiments together.
OWN, TOGETHER = {"gather": 1, "figures": 1}, {"theory_check": 1, "summary": 1, "all": 1}
RESULTS = OWN | TOGETHER
#: The file of a chain.
FILE = "results/closed/dimension=2__samples=10/replace.nc"


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Return a run whose jobs hold a step each."""
    folder = tmp_path_factory.mktemp("out-of-date")
    return Workflow.ran(folder, job_holds="step", closed=CLOSED, steps=STEPS)


def planned(ran, *arguments, closed=None, steps=None, **others):
    """Return the jobs that a changed study would run."""
    ran.write(closed=CLOSED | (closed or {}), steps=STEPS | (steps or {}), **others)
    try:
        return ran.planned(*arguments)
    finally:
        ran.write(closed=CLOSED, steps=STEPS)


def test_nothing_runs_again_without_a_change(ran):
    before = files(ran)
    assert planned(ran) == {}
    assert files(ran) == before  # a dry run changes nothing


def files(ran):
    return {
        path: path.stat().st_mtime_ns
        for folder in ("results", "logs")
        for path in (ran.directory / folder).rglob("*")
    }


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A copy of the project, whose files are newer than all results."""
    parts = ("Snakefile", "rules", "scripts", "config", "profiles", "docs", "envs")
    subprocess.run(["cp", "-r", *(PROJECT / part for part in parts), tmp_path], check=True)
    monkeypatch.setattr("running.PROJECT", tmp_path)
    return tmp_path


def test_nothing_runs_again_in_a_fresh_clone_or_after_a_comment_in_a_script(ran, clone):
    for script in (clone / "scripts").glob("*.py"):
        script.write_text(f"# A comment.\n{script.read_text()}")
    assert planned(ran) == {}


VERSIONS = {
    "another family": (("discrete/__init__.py",), {}),
    "closed form": (("gaussian/__init__.py",), {"chains": 1, **RESULTS}),
    # The models that an evaluation reads are not kept, so they are trained again.
    "evaluate": (
        ("gaussian/__init__.py", "evaluate"),
        {"train_unkept": 3, "evaluate": 3, "collect": 2, **RESULTS},
    ),
}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_version_runs_what_it_concerns(ran, clone, version):
    what, jobs = VERSIONS[version]
    raised(clone, *what)
    assert planned(ran) == jobs


def test_what_is_out_of_date_does_not_depend_on_what_snakemake_remembers(ran, clone, tmp_path):
    """Its folder may be lost, or a job of several steps may have written the outputs."""
    forgotten = Workflow(tmp_path / "forgotten", "step")
    shutil.copytree(ran.directory, forgotten.directory, ignore=shutil.ignore_patterns(".snakemake"))
    assert planned(forgotten) == {}
    raised(clone, "gaussian/__init__.py", "evaluate")
    assert planned(forgotten) == VERSIONS["evaluate"][1]
    forgotten.run("--touch")  # takes what is there for up to date
    assert planned(forgotten) == {}


def test_nothing_runs_again_after_a_comment_in_the_study(ran):
    text = ran.study.read_text()
    try:
        ran.study.write_text(f"# A comment.\n{text}")
        assert ran.planned() == {}
    finally:
        ran.study.write_text(text)


@pytest.mark.parametrize("hours", [-1, 1])
def test_nothing_runs_again_if_a_clock_was_wrong(ran, hours):
    """Some files are then newer than what was made of them."""
    found = sorted(path for path in (ran.directory / "results").rglob("*") if path.is_file())
    times = {path: path.stat().st_mtime_ns for path in found}
    for path in found[::2]:
        os.utime(path, (time.time() + hours * 3600,) * 2)
    assert planned(ran) == {}
    for path, when in times.items():
        os.utime(path, ns=(when, when))


def test_nothing_runs_again_in_another_folder(ran, tmp_path):
    moved = Workflow(tmp_path / "moved", "step")
    shutil.copytree(ran.directory, moved.directory)
    assert moved.planned() == {}


def test_resources_and_retention_change_nothing(ran):
    assert planned(ran, "--default-resources", "mem_mb=5000", steps={"keep_models": "all"}) == {}
    assert planned(ran, "--set-resources", "train:mem_mb=1", steps={"keep_models": "last"}) == {}


CHANGES = {
    "new seed": (
        {"closed": {"seeds": 4}},
        {"chains": 1, **RESULTS},
    ),
    "fewer seeds": ({"closed": {"seeds": 2}}, RESULTS),
    "new regime": (
        {"closed": {"regimes": ["replace", "accumulate", "accumulate-subsample"]}},
        {"chains": 1, **RESULTS},
    ),
    "another experiment": (
        {"more": {**CLOSED, "regimes": ["replace"]}},
        {"chains": 1, **RESULTS},
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_runs_what_it_concerns(ran, change):
    study, jobs = CHANGES[change]
    assert planned(ran, **study) == jobs


#: What is asked for, and the jobs of a study with a new seed if one runs all chains of a point, and
#: if chains are so long that one runs one of them. A file alone has a job of its own.
HOLDING = {
    "everything": ((), {"chains": 1} | RESULTS, {"chains": 2} | RESULTS),
    "a file": ((FILE,), {"chain": 1}, {"chain": 1}),
}


@pytest.mark.parametrize("asked", HOLDING)
def test_how_many_chains_a_job_runs_makes_nothing_again(ran, clone, tmp_path_factory, asked):
    targets, *jobs = HOLDING[asked]
    choice = clone / "scripts" / "collapse" / "loop" / "batches.py"
    text = choice.read_text()
    assert text.count("SHORT = 30.0") == 1
    other = Workflow(tmp_path_factory.mktemp("other") / "copy")
    shutil.copytree(ran.directory, other.directory)
    for short, expected in zip(("30.0", "0.0"), jobs, strict=True):
        choice.write_text(text.replace("SHORT = 30.0", f"SHORT = {short}"))
        assert planned(ran, *targets) == {}
        assert planned(ran, *targets, closed={"seeds": 4}) == expected
    # The file of this chain is then of a job of several, or of its own.
    other.write(closed=CLOSED | {"seeds": 4}, steps=STEPS)
    other.run(*targets)
    for short in ("30.0", "0.0"):
        choice.write_text(text.replace("SHORT = 30.0", f"SHORT = {short}"))
        assert other.planned(*targets) == {}


def test_all_jobs_run_if_all_are_forced(ran):
    forced = planned(ran, "--forceall")
    assert forced["chains"] == 1 and forced["train_unkept"] == 3 and forced["gather"] == 2
    for name in ("chains", "chain"):
        assert planned(ran, "--forcerun", name) == {"chains": 1, **RESULTS}
    assert planned(ran, "--forcerun", FILE) == {"chain": 1}


def test_forced_jobs_really_run(tmp_path):
    """A closed-form chain computes all its seeds again, and a model that was not kept is there."""
    short = {"regimes": ["replace"], "iterations": 2}
    targets = ("results/closed/metrics.nc", "results/steps/metrics.nc")
    forced = Workflow.ran(
        tmp_path,
        *targets,
        job_holds="step",
        closed=CLOSED | short,
        steps=STEPS | short | {"iterations": 1},
    )
    path = forced.directory / FILE
    before, seeds, made_of = chain_file.read_chain(path)
    wrong = {name: values + 1 for name, values in before.items()}
    for options in ((*targets, "--forceall"), ("--force", FILE)):
        chain_file.write_chain(path, wrong, seeds=seeds, iterations=[1, 2], identity=made_of)
        forced.run(*options)
        after, _, _ = chain_file.read_chain(path)
        for name, values in before.items():
            assert np.array_equal(after[name], values, equal_nan=True)
    assert forced.planned(*targets) == {}


def test_what_is_lost_is_made_again_and_nothing_else(ran, tmp_path):
    lost = Workflow(tmp_path / "lost", "step")
    shutil.copytree(ran.directory, lost.directory)
    tables = [lost.path(f"tables/{name}.csv") for name in ("theory_verdicts", "summary")]
    kept = [table.read_bytes() for table in tables]
    for table in tables:
        table.unlink()
        assert set(lost.planned()) <= {"theory_check", "summary", "all"}
    lost.run()
    assert [table.read_bytes() for table in tables] == kept
    # Shards that were trained on are not wanted any more, unless a chain goes on from them.
    for shard in lost.directory.glob("results/steps/*/*/seed0/iter*/synthetic/*"):
        shard.unlink()
    assert lost.planned() == {}


TEXT = {
    "family": "language_model",
    "regimes": ["replace"],
    "iterations": 2,
    "seeds": 1,
    "samples": 40,
    "keep_models": "none",
    "grid": {"model": ["tiny"], "temperature": [1.0]},
}


@pytest.fixture
def text(tmp_path, monkeypatch):
    """All steps of an experiment with text as if they had run, without the unkept models."""
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    Path("data", "train.txt").write_text("Once upon a time.\n\nThe end.\n")
    TEXT["settings"] = {"data": str(tmp_path / "data")}
    workflow = Workflow(tmp_path, "step")
    workflow.write(text=TEXT)
    study = load(workflow.study)
    inputs = Inputs(study, {}, PROJECT, sources=sources.checksums(named_sources(study)))
    lineage = inputs.lineages["text"]
    for chain in inputs.branches["text"].all():
        records = {chain.dataset: lineage.prepare(chain.points.data)}
        for t in (1, 2):
            records[chain.training_set(t)] = lineage.assemble(chain, t)
            records[chain.training(t)] = lineage.train(chain, t)
            records[chain.evaluation(t)] = lineage.evaluate(chain, t)
            for shard in {*chain.shards(t), *chain.evaluated_shards(t)}:
                records[shard.record] = lineage.generate(chain, t, shard)
        for path, made_of in records.items():
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text(json.dumps({"made_of": made_of}))
        for path in [*map(chain.metrics, (1, 2)), *(each.path for each in chain.shards(1))]:
            Path(path).touch()
        for shard in chain.evaluated_shards(2):
            Path(shard.path).touch()
    workflow.run("--touch", "--forceall", chain.metrics(2))
    return workflow


def steps_planned(workflow, **changed):
    workflow.write(text=TEXT | changed)
    steps = ("prepare", "assemble", "train_unkept", "generate", "evaluate")
    found = workflow.planned()
    return {step: found[step] for step in steps if step in found}


def test_a_new_temperature_trains_no_old_chain_again(text):
    """The model of iteration 1 was not kept; it is trained again, and the old chain is not."""
    assert steps_planned(text) == {}
    grid = {"model": ["tiny"], "temperature": [1.0, 0.5]}
    assert steps_planned(text, grid=grid) == {
        "assemble": 1, "train_unkept": 2, "generate": 2, "evaluate": 2
    }  # fmt: skip


def test_data_counts_by_its_content(text):
    folder = Path(TEXT["settings"]["data"])
    train = folder / "train.txt"
    os.utime(train, (time.time() + 3600,) * 2)
    (folder / "README.md").write_text("Where the documents come from.")
    assert steps_planned(text) == {}
    everything = {"prepare": 1, "assemble": 2, "train_unkept": 2, "generate": 2, "evaluate": 2}
    (folder / "dev.txt").write_text("Another document.\n\nAnd one more.\n")
    assert steps_planned(text) == everything
    (folder / "dev.txt").unlink()
    assert steps_planned(text) == {}
    train.write_text(train.read_text() + "\nAnother end.\n")
    assert steps_planned(text) == everything
    printed = text.run("explain", "--quiet", "all")
    assert f"prepare: results/text/data/any: another {folder}" in printed


# Two studies, one folder.


def test_seeds_that_a_study_has_no_more_are_kept(tmp_path):
    dataset = "results/closed/metrics.nc"
    workflow = Workflow.ran(tmp_path, dataset, closed=CLOSED)
    path = workflow.directory / FILE
    first, seeds, _ = chain_file.read_chain(path)
    written = path.stat().st_mtime_ns
    workflow.write(closed=CLOSED | {"seeds": [1]})
    workflow.run(dataset)
    assert path.stat().st_mtime_ns == written
    assert xr.load_dataset(workflow.path("closed/metrics.nc"))["seed"].values.tolist() == [1]
    workflow.write(closed=CLOSED | {"seeds": [7, 1]})
    workflow.run(dataset, "results/tables/summary.txt")
    both, kept, _ = chain_file.read_chain(path)
    assert (seeds, kept) == ([0, 1, 2], [0, 1, 2, 7])
    for name in first:
        assert np.array_equal(both[name][:3], first[name], equal_nan=True)
    # What is printed at the end belongs to the run: a part of this study makes no summary.
    workflow.write(closed=CLOSED, other=CLOSED | {"regimes": ["replace"]})
    assert "experiment" not in workflow.run("results/other/metrics.nc")


def test_a_study_that_is_edited_meanwhile_changes_nothing_of_the_run(tmp_path):
    """Jobs read the snapshot of the study that their driver read."""
    many = CLOSED | {"samples": [10, 11, 12], "iterations": 5}
    workflow = Workflow(tmp_path)
    workflow.write(closed=many)
    driver = subprocess.Popen(
        workflow.command("results/closed/metrics.nc", cores=1),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while not list(tmp_path.glob("results/closed/*/*.nc")) and driver.poll() is None:
        time.sleep(0.05)
    workflow.write(closed=many | {"iterations": 7})
    printed, _ = driver.communicate(timeout=600)
    assert driver.returncode == 0, printed
    with xr.open_dataset(workflow.path("closed/metrics.nc")) as dataset:
        assert dataset.sizes["iteration"] == 5
    assert workflow.planned()["chains"] == 3
