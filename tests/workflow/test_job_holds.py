"""Jobs that hold an iteration or a whole chain: the same files, and nothing lost or made again."""

import shutil
from pathlib import Path

import pytest
import xarray as xr

import pictures
from collapse.artifacts import identity
from interrupting import killed
from running import Workflow

GAUSSIAN = {
    "family": "gaussian",
    "per_iteration": True,
    "regimes": ["replace", "accumulate"],
    "iterations": 3,
    "seeds": 1,
    "samples": 10,
    "grid": {"dimension": 2},
}
#: Of a chain whose models are not kept; like a temperature, `target` matters to samples alone.
UNKEPT = {
    **GAUSSIAN,
    "regimes": ["replace"],
    "iterations": 2,
    "keep_models": "none",
    "grid": {"dimension": 2, "target": [0.0]},
}
IMAGES = {
    "family": "vae",
    "iterations": 2,
    "seeds": 1,
    "samples": 30,
    "keep_models": "none",
    "settings": {"epochs": 2.0, "batch": 16, "latent": 4, "curve_points": 2, "judged": 10},
}
DATASETS = ("results/loop/metrics.nc", "results/unkept/metrics.nc")
POINT = "loop/dimension=2__samples=10"
#: What differs by design: times, and what Snakemake and its jobs note for themselves.
NOTES = (".snakemake_timestamp", "iteration.json", "chain.json")


def start(directory: Path, job_holds: str, **experiments) -> Workflow:
    directory.mkdir()
    workflow = Workflow(directory)
    workflow.job_holds = job_holds
    workflow.write(**experiments)
    return workflow


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The same study with each of the three choices; with `chain` an iteration and a chain more.

    That steps of all families make the same files in one job is tested in tests/contract.
    """
    found = {}
    for job_holds in ("step", "iteration", "chain"):
        folder, whole = tmp_path_factory.mktemp("holds") / job_holds, job_holds == "chain"
        loop = GAUSSIAN if whole else {**GAUSSIAN, "iterations": 2}
        found[job_holds] = start(folder, job_holds, loop=loop, unkept=UNKEPT)
        found[job_holds].targets = DATASETS if whole else DATASETS[:1]
        found[job_holds].run(*found[job_holds].targets)
    return found


def content(workflow: Workflow) -> dict[str, object]:
    """Return what is in the files of all iterations; of some what they are made of."""
    root = workflow.path("loop")
    found = root.rglob("*")
    files = [path for path in found if path.is_file() and path.name not in NOTES]
    return {
        str(path.relative_to(root)): identity.recorded(path)
        if path.name in ("training.json", "evaluation.json")
        else path.read_bytes()
        for path in files
        if path.suffix != ".nc"
    }


@pytest.mark.parametrize("job_holds", ["iteration", "chain"])
def test_the_files_and_numbers_are_those_of_jobs_of_single_steps(ran, job_holds):
    steps, other = ran["step"], ran[job_holds]
    expected, found = content(steps), content(other)
    assert expected.keys() == {path for path in found if "/iter3/" not in path}
    assert [path for path in expected if expected[path] != found[path]] == []
    one, two = (xr.load_dataset(each.directory / DATASETS[0]) for each in (steps, other))
    two = two.sel(iteration=one["iteration"])
    xr.testing.assert_identical(one.drop_attrs(), two.drop_attrs())
    logs = [
        {
            str(path.relative_to(each.directory))
            for path in each.directory.glob("logs/*/loop/**/*.log")
        }
        for each in (steps, other)
    ]
    assert logs[0] and logs[0] <= logs[1]


def test_a_job_holds_what_was_chosen(ran):
    jobs = {name: workflow.planned(*DATASETS, "--forceall") for name, workflow in ran.items()}
    assert jobs["chain"]["whole_chain"] == 1 + 2 + 1 + 1
    assert jobs["iteration"]["iteration"] == 1 + 2 + 1 + 1
    assert jobs["step"]["evaluate"] == 1 + 2 + 1 + 1 and "iteration" not in jobs["step"]


@pytest.mark.parametrize("first", ["step", "iteration", "chain"])
def test_another_choice_makes_nothing_again(ran, first):
    workflow = ran[first]
    for job_holds in ("step", "iteration", "chain"):
        workflow.job_holds = job_holds
        try:
            assert workflow.planned(*workflow.targets) == {}
        finally:
            workflow.job_holds = first


RESULTS = {"collect": 2, "gather": 1}
CHANGES = {
    "iterations": ({"iterations": 4}, {"whole_chain": 2} | RESULTS),
    "regime": (
        {"regimes": [*GAUSSIAN["regimes"], "accumulate-subsample"]},
        {"whole_chain": 1, "collect": 1, "gather": 1},
    ),
    "seed": ({"seeds": 2}, {"whole_chain": 3} | RESULTS),
    "point": ({"samples": [5, 10]}, {"whole_chain": 3} | RESULTS),
    "retention": ({"keep_models": "last"}, {}),
    "choice": ({"job_holds": "step"}, {}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_runs_what_it_concerns(ran, change):
    study, jobs = CHANGES[change]
    assert ran["chain"].planned_with(DATASETS[0], loop={**GAUSSIAN, **study}) == jobs


def copied(ran, directory: Path, **changes) -> Workflow:
    shutil.copytree(ran["chain"].directory, directory)
    workflow = Workflow(directory)
    workflow.job_holds = "chain"
    workflow.write(loop={**GAUSSIAN, **changes}, unkept=UNKEPT)
    return workflow


def times(workflow: Workflow) -> dict[str, int]:
    return {
        str(path): path.stat().st_mtime_ns
        for path in workflow.path("loop").glob("*/*/seed*/iter*/**/*")
        if path.is_file() and path.stem not in ("iteration", "chain", "chain-2")
    }


def test_more_iterations_touch_nothing_that_was_there(ran, tmp_path):
    workflow = copied(ran, tmp_path / "longer", iterations=4)
    # What nothing needs any more is not made again either.
    lost = workflow.path(f"{POINT}/replace/seed0/iter2/synthetic/0-10.parquet")
    lost.unlink()
    before = times(workflow)
    workflow.run(DATASETS[0])
    assert before.items() <= times(workflow).items()
    assert {path.split("/")[-2] for path in times(workflow).keys() - before.keys()} >= {"iter4"}
    assert not lost.exists()
    assert workflow.planned(DATASETS[0]) == {}


def test_what_is_lost_is_made_again_if_a_result_needs_it(ran, tmp_path):
    workflow = copied(ran, tmp_path / "lost")
    metrics = workflow.path(f"{POINT}/replace/seed0/iter3/metrics.json")
    kept = metrics.read_bytes()
    metrics.unlink()
    assert workflow.planned(DATASETS[0]) == {}  # the file of the chain has its numbers
    for name in ("loop/metrics.nc", f"{POINT}/replace.nc"):
        workflow.path(name).unlink()
    before = times(workflow)
    assert workflow.planned(DATASETS[0]) == {"whole_chain": 1, "collect": 1, "gather": 1}
    said = workflow.run("explain", "--quiet", "all")
    assert "1 steps, first evaluate of iteration 3" in said and "is not there any more" in said
    workflow.run(DATASETS[0])
    assert metrics.read_bytes() == kept
    before.pop(str(metrics.with_name("evaluation.json")))  # the evaluation ran again, nothing else
    assert before.items() <= times(workflow).items()
    assert workflow.planned(DATASETS[0]) == {}


def test_what_matters_to_samples_alone_trains_no_old_chain_again(ran, tmp_path):
    workflow = copied(ran, tmp_path / "warm")
    old = {
        path: path.stat().st_mtime_ns
        for path in workflow.path("unkept").glob("*/replace/seed0/iter2/*.json")
    }
    assert old
    other = {**UNKEPT, "grid": {"dimension": 2, "target": [0.0, 0.5]}}
    workflow.write(loop=GAUSSIAN, unkept=other)
    assert workflow.planned(DATASETS[1]) == {"whole_chain": 2, "collect": 2, "gather": 1}
    workflow.run(DATASETS[1])
    assert not list(workflow.path("unkept").glob("*/*/seed0/iter*/model"))
    for path, when in old.items():
        assert path.name == "chain.json" or path.stat().st_mtime_ns == when
    assert workflow.planned(DATASETS[1]) == {}


def test_a_killed_chain_goes_on_and_a_failed_step_loses_nothing(ran, tmp_path):
    workflow = start(tmp_path / "killed", "chain", loop=GAUSSIAN)
    chain = workflow.path(f"{POINT}/accumulate/seed0")
    killed(workflow, DATASETS[0], ready=(chain / "iter2" / "evaluation.json").exists)
    done = {path: when for path, when in times(workflow).items() if "/iter3/" not in path}
    shard = chain / "iter2" / "synthetic" / "0-10.parquet"
    whole = shard.read_bytes()
    if not (chain / "iter3" / "chain.json").exists():
        shard.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        shutil.rmtree(chain / "iter3", ignore_errors=True)
        printed = workflow.run(DATASETS[0], fails=True)
        (line,) = [one for one in printed.splitlines() if one.startswith("logs/train/")]
        assert "error: " in line and "iter2/synthetic/0-10.parquet: damaged" in line
        assert (chain / "iter3" / "training_set.json").exists()
        shard.unlink()
    workflow.run(DATASETS[0])
    assert shard.read_bytes() == whole
    kept = {path: when for path, when in done.items() if "/real/" in path}
    assert kept and kept.items() <= times(workflow).items()
    for name in ("replace", "accumulate"):
        one, two = (each.path(f"{POINT}/{name}.nc") for each in (workflow, ran["chain"]))
        xr.testing.assert_identical(
            xr.load_dataset(one).drop_attrs(), xr.load_dataset(two).drop_attrs()
        )


def test_forced_chains_really_run(ran, tmp_path):
    workflow = copied(ran, tmp_path / "forced")
    before = times(workflow)
    workflow.run(DATASETS[0], "--forcerun", "whole_chain")
    after = times(workflow)
    assert before.keys() == after.keys()
    assert all(after[path] > when for path, when in before.items())
    assert workflow.planned(DATASETS[0]) == {}


def test_chains_start_from_the_model_before_and_keep_it_as_long(tmp_path):
    """Whatever a job holds; Snakemake removes the checkpoints of jobs of single steps."""
    pytest.importorskip("torch")
    regimes = {"next": {"keep_real": True, "start": "previous"}}
    data = pictures.folder(tmp_path / "images", train=40, test=10, classes=("a", "b"))
    plan = {**IMAGES, "regimes": [*regimes], "settings": {**IMAGES["settings"], "data": str(data)}}
    dataset = "results/images/metrics.nc"
    found = []
    for job_holds in ("step", "chain"):
        workflow = Workflow(tmp_path / job_holds, job_holds)
        workflow.directory.mkdir()
        workflow.write_with(regimes, images=plan)
        workflow.run(dataset)
        assert not list(workflow.path("images").rglob("model"))
        assert workflow.planned(dataset) == {}
        found.append(xr.load_dataset(workflow.directory / dataset).drop_attrs())
        # With more iterations, all that nobody kept is trained again.
        workflow.write_with(regimes, images={**plan, "iterations": 3})
        jobs = {"chain": {"whole_chain": 2}, "step": {"train_unkept": 3}}[job_holds]
        assert jobs.items() <= workflow.planned(dataset).items()
    xr.testing.assert_identical(*found)


def test_an_unknown_choice_is_refused_in_one_line(tmp_path):
    workflow = start(tmp_path / "unknown", "chains", loop=GAUSSIAN)
    printed = workflow.run("--dry-run", fails=True)
    (line,) = [one for one in printed.splitlines() if one.startswith("error: ")]
    assert "job_holds: found chains, expected one of step, iteration, chain" in line
