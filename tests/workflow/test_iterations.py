"""Chains by steps: only missing files are made, interruptions lose nothing and change no number."""

import base64
import json
import shutil
import subprocess
from pathlib import Path

import pytest
import xarray as xr

import running
from interrupting import killed
from running import PROJECT, Workflow
from versioning import raised

EXPERIMENT = {
    "family": "gaussian",
    "per_iteration": True,
    "regimes": ["replace", "accumulate-subsample"],
    "iterations": 3,
    "seeds": [0],
    "samples": 10,
    "grid": {"dimension": 2},
}
LONGER = {**EXPERIMENT, "iterations": 4}
POINT = "dimension=2__samples=10"
METRICS = "results/loop/metrics.nc"


def ran_with(directory: Path, job_holds: str = "", cores: int = 2, **changes) -> Workflow:
    """Run a study up to its dataset, because other tests make figures."""
    experiment = {**EXPERIMENT, **changes}
    return Workflow.ran(directory, METRICS, cores=cores, job_holds=job_holds, loop=experiment)


def copy(workflow: Workflow, directory: Path, **changes) -> Workflow:
    """Copy a working directory with Snakemake's own files, and change its study."""
    shutil.copytree(workflow.directory, directory)
    other = Workflow(directory, workflow.job_holds)
    other.write(loop={**EXPERIMENT, **changes})
    return other


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Return a run whose jobs hold a step each."""
    return ran_with(tmp_path_factory.mktemp("iterations") / "ran", "step")


@pytest.fixture(scope="module")
def longer(ran, tmp_path_factory):
    """Return a run of the extended study without interruptions."""
    workflow = copy(ran, tmp_path_factory.mktemp("iterations") / "longer", **LONGER)
    workflow.run(METRICS)
    return workflow


def steps(count: int) -> dict[str, int]:
    return dict.fromkeys(("assemble", "train", "generate", "evaluate"), count)


def numbers(workflow: Workflow) -> xr.Dataset:
    return xr.load_dataset(workflow.path("loop/metrics.nc")).drop_attrs()


def assert_same(workflow: Workflow, reference: Workflow) -> None:
    """Assert that all numbers of a workflow equal those of another, which may have more."""
    found, expected = numbers(workflow), numbers(reference)
    expected = expected.sel({name: found[name].values for name in found.dims})
    xr.testing.assert_identical(found, expected)


def files(workflow: Workflow) -> dict[str, int]:
    """Return the files of iterations, with the time of their last change."""
    root = workflow.path("loop")
    return {
        str(path.relative_to(root)): path.stat().st_mtime_ns
        for path in root.glob("*/*/seed*/**/*")
        if path.is_file() and path.name != ".snakemake_timestamp"
    }


def models(workflow: Workflow) -> set[str]:
    """Return the iterations that have a model, as <regime>/iter<t>."""
    found = workflow.path("loop").glob("*/*/seed0/iter*/model")
    return {f"{path.parts[-4]}/{path.parts[-2]}" for path in found}


def test_every_step_writes_its_files(ran):
    """Every step writes its files, and iteration 1 exists once, under `real`."""
    iteration = {
        "training_set.json",
        "model/model.npz",
        "training.json",
        "synthetic/0-10.parquet",
        "synthetic/0-10.json",
        "metrics.json",
        "evaluation.json",
    }
    expected = {f"{POINT}/real/seed0/iter1/{name}" for name in iteration}
    for regime in EXPERIMENT["regimes"]:
        for t in (2, 3):
            expected |= {f"{POINT}/{regime}/seed0/iter{t}/{name}" for name in iteration}
    assert set(files(ran)) == expected
    assert {path.name for path in ran.path(f"loop/{POINT}").glob("*.nc")} == {
        f"{regime}.nc" for regime in EXPERIMENT["regimes"]
    }
    assert dict(numbers(ran).sizes) == {
        "regime": 2, "dimension": 1, "variance": 1, "samples": 1, "seed": 1, "iteration": 3
    }  # fmt: skip
    record = json.loads(ran.path(f"loop/{POINT}/real/seed0/iter1/training.json").read_text())
    assert record["samples"] == 10
    assert record["seconds"] > 0


def test_regimes_begin_alike_and_then_part(ran):
    first, *_, last = (
        numbers(ran)["trace_ratio"].sel(iteration=t).squeeze().values for t in (1, 2, 3)
    )
    assert first[0] == first[1]
    assert last[0] != last[1]


COLLECTED = {"collect": 2, "gather": 1}
#: Which jobs a change of the study asks for.
CHANGES = {
    "iterations": ({"iterations": 5}, steps(2 * 2) | COLLECTED),
    "regime": (
        {"regimes": [*EXPERIMENT["regimes"], "accumulate"]},
        steps(2) | {"collect": 1, "gather": 1},
    ),
    "longer regime": (
        {"regimes": [*EXPERIMENT["regimes"], "replace-multiple"]},
        # t·n samples for iteration t: one more shard of iteration 1, three of iteration 2, and
        # one with which iteration 3 is evaluated.
        steps(2) | {"generate": 1 + 3 + 1, "collect": 1, "gather": 1},
    ),
    "seed": ({"seeds": [7, 0]}, steps(1 + 2 * 2) | COLLECTED),
    "smaller point": ({"samples": [5, 10]}, steps(1 + 2 * 2) | COLLECTED),
    "retention": ({"keep_models": "last"}, {}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_study_runs_only_what_is_missing(ran, change):
    edit, expected = CHANGES[change]
    assert ran.planned_with(METRICS, loop={**EXPERIMENT, **edit}) == expected


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Return a copy of the project, in which versions can be raised."""
    project = tmp_path / "project"
    for name in ("rules", "scripts", "config", "profiles", "docs"):
        shutil.copytree(PROJECT / name, project / name)
    shutil.copy2(PROJECT / "Snakefile", project)
    monkeypatch.setattr(running, "PROJECT", project)
    return project


def test_new_versions_run_their_step_and_what_follows(ran, project):
    """With a new metric no model is trained again."""
    assert ran.planned(METRICS) == {}
    raised(project, "gaussian/__init__.py", "evaluate")
    assert ran.planned(METRICS) == {"evaluate": 5} | COLLECTED
    raised(project, "gaussian/__init__.py", "train")
    assert ran.planned(METRICS)["train"] == 5


def test_more_iterations_change_nothing_that_was_there(ran, longer):
    before, after = files(ran), files(longer)
    assert before.items() <= after.items()
    assert {path.split("/")[3] for path in set(after) - set(before)} == {"iter4"}
    assert_same(ran, longer)


def test_cores_and_the_size_of_shards_change_no_number(ran, tmp_path):
    other = ran_with(tmp_path / "other", cores=1, shard_size=7)
    shards = {path.name for path in other.path("loop").rglob("*.parquet")}
    assert shards == {"0-7.parquet", "7-10.parquet"}
    assert_same(other, ran)


def test_of_kept_models_the_last_is_kept_and_iterated_from(ran, tmp_path):
    kept = {"regimes": ["replace"], "keep_models": "last"}
    workflow = ran_with(tmp_path / "last", "step", **kept, iterations=2)
    assert models(workflow) == {"replace/iter2"}
    assert_same(workflow, ran)
    before = files(workflow)
    assert workflow.planned_with(METRICS, loop={**LONGER, **kept}) == {
        **steps(2), "train": 1, "train_unkept": 1, "collect": 1, "gather": 1
    }  # fmt: skip
    workflow.write(loop={**EXPERIMENT, **kept})
    workflow.run(METRICS)
    assert {"replace/iter3"} <= models(workflow) <= {"replace/iter2", "replace/iter3"}
    after = files(workflow)
    assert {each: when for each, when in before.items() if "model" not in each}.items() <= (
        after.items()
    )
    assert_same(workflow, ran)
    assert "Nothing to be done" in workflow.run("--dry-run", METRICS)


def test_models_need_not_be_kept(ran, tmp_path):
    workflow = ran_with(tmp_path / "none", regimes=["replace"], keep_models="none")
    assert models(workflow) == set()
    assert len(list(workflow.path("loop").glob("*/*/seed0/iter*/training.json"))) == 3
    assert_same(workflow, ran)
    assert "Nothing to be done" in workflow.run("--dry-run", METRICS)


def writes(workflow: Workflow, output: str):
    """Return the function that tells whether a job writes this output."""
    marker = base64.b64encode(f"results/loop/{POINT}/{output}".encode()).decode()
    return (workflow.directory / ".snakemake" / "incomplete" / marker).exists


def test_a_killed_run_goes_on_and_ends_in_the_same_numbers(ran, tmp_path):
    """The run is killed while a model is trained, and again while it is sampled from."""
    workflow = Workflow(tmp_path, "step")
    workflow.write(loop={**EXPERIMENT, "regimes": ["replace"]})
    root = workflow.path(f"loop/{POINT}")
    killed(workflow, METRICS, ready=writes(workflow, "replace/seed0/iter2/model"))
    shared = {name: when for name, when in files(workflow).items() if "/real/" in name}
    evaluated = ("metrics.json", "evaluation.json")
    before = {name: when for name, when in shared.items() if not name.endswith(evaluated)}
    assert len(before) == 5, "iteration 1 was there, but for its evaluation perhaps"
    assert not (root / "replace/seed0/iter2/metrics.json").exists()
    # These are the files of a run that was killed while it wrote them.
    left = root / "replace/seed0/iter2/.model.partial"
    left.mkdir(parents=True, exist_ok=True)
    (left / "model.npz").write_bytes(b"half of it")
    shard = "replace/seed0/iter3/synthetic/0-10.parquet"
    killed(workflow, METRICS, ready=writes(workflow, shard))
    left = root / "replace/seed0/iter3/synthetic/.0-10.parquet.partial"
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"half of it")
    workflow.run(METRICS)
    assert_same(workflow, ran)
    assert not list(tmp_path.rglob("*.partial"))
    assert before.items() <= files(workflow).items()


@pytest.fixture
def spoiled(ran, tmp_path):
    """Return one chain that is extended by an iteration."""
    return copy(ran, tmp_path / "spoiled", regimes=["accumulate-subsample"], iterations=4)


def lines_with(printed: str, *words: str) -> list[str]:
    return [line for line in printed.splitlines() if all(word in line for word in words)]


def test_an_altered_shard_is_refused_until_it_is_made_again(spoiled, longer):
    chain = f"loop/{POINT}/accumulate-subsample/seed0"
    shard = spoiled.path(f"{chain}/iter3/synthetic/0-10.parquet")
    content = bytearray(shard.read_bytes())
    content[len(content) // 3] ^= 1
    shard.write_bytes(content)
    printed = spoiled.run(METRICS, fails=True)
    assert lines_with(printed, "error: ", "iter3/synthetic/0-10.parquet", "damaged")
    assert not spoiled.path(f"{chain}/iter4/model").exists()
    assert spoiled.path(f"{chain}/iter3/metrics.json").exists()
    shard.unlink()
    spoiled.run(METRICS)
    assert_same(spoiled, longer)


def test_lost_shards_of_old_are_named_with_what_makes_them_again(spoiled, longer):
    """Old shards are named by the manifest alone; they are no inputs of the training."""
    chain = f"loop/{POINT}/accumulate-subsample/seed0"
    shards = [
        f"results/loop/{POINT}/real/seed0/iter1/synthetic/0-10.parquet",
        f"results/loop/{POINT}/accumulate-subsample/seed0/iter2/synthetic/0-10.parquet",
    ]
    whole = (spoiled.directory / shards[0]).read_bytes()
    (spoiled.directory / shards[0]).write_bytes(whole[:-9] + b"y" + whole[-8:])
    (spoiled.directory / shards[1]).unlink()
    printed = spoiled.run(METRICS, fails=True)
    (line, *_) = lines_with(printed, "error: ", f"{shards[1]}: missing", f"{shards[0]}: damaged")
    assert not spoiled.path(f"{chain}/iter4/model").exists()
    command = line.partition("make them again with: ")[2]
    subprocess.run(command, shell=True, check=True, cwd=spoiled.directory, capture_output=True)
    assert (spoiled.directory / shards[0]).read_bytes() == whole
    # The shards are the same again, so no job that had read them runs again.
    assert spoiled.planned(METRICS) == {
        "train": 1, "generate": 1, "evaluate": 1, "collect": 1, "gather": 1
    }  # fmt: skip
    spoiled.run(METRICS)
    assert_same(spoiled, longer)


def test_truncated_metrics_are_refused_until_they_are_made_again(ran, tmp_path):
    spoiled = copy(ran, tmp_path / "spoiled", regimes=["accumulate-subsample"])
    spoiled.path(f"loop/{POINT}/accumulate-subsample.nc").unlink()
    metrics = spoiled.path(f"loop/{POINT}/accumulate-subsample/seed0/iter2/metrics.json")
    metrics.write_bytes(metrics.read_bytes()[:20])
    printed = spoiled.run(METRICS, fails=True)
    assert lines_with(printed, "error: ", "iter2/metrics.json", "damaged")
    metrics.unlink()
    assert spoiled.planned(METRICS) == {"evaluate": 1, "collect": 1, "gather": 1}
    spoiled.run(METRICS)
    assert_same(spoiled, ran)
