"""Interruptions, damaged files and a full disk change no number and lose no finished work."""

import fcntl
import signal

import pytest
import xarray as xr

from interrupting import killed
from running import Workflow

EXPERIMENT = {
    "family": "gaussian",
    "regimes": ["replace", "accumulate-subsample"],
    "iterations": 20,
    "seeds": 20,
    "samples": [50, 100],
    "grid": {"dimension": [1, 3]},
}


DATASET = "results/loop/metrics.nc"
CHAINS = 8


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return Workflow.ran(tmp_path_factory.mktemp("undisturbed"), DATASET, loop=EXPERIMENT)


def numbers(workflow: Workflow) -> xr.Dataset:
    return xr.load_dataset(workflow.path("loop/metrics.nc")).drop_attrs()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_run_ends_in_the_same_numbers(undisturbed, tmp_path, how):
    workflow = Workflow(tmp_path)
    workflow.write(loop=EXPERIMENT)

    def chains():
        return len(list(tmp_path.glob("results/loop/*/*.nc")))

    killed(workflow, DATASET, ready=lambda: chains() >= 2, how=how)
    assert chains() < CHAINS, "it was not interrupted"
    done = {path: path.stat().st_mtime_ns for path in tmp_path.glob("results/loop/*/*.nc")}
    workflow.run(DATASET)
    assert done == {path: path.stat().st_mtime_ns for path in done}
    assert numbers(workflow).identical(numbers(undisturbed))
    # A job that is killed as it writes its record, after its last chain, need not run again.
    assert {path.name for path in tmp_path.rglob("*.partial")} <= {".chains.json.partial"}


def everything(workflow: Workflow) -> dict[str, bytes]:
    found = (path for path in workflow.path(".").rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in found}


def test_a_truncated_file_is_made_again_but_not_by_looking(undisturbed):
    reference = numbers(undisturbed)
    dataset = undisturbed.directory / DATASET
    path = undisturbed.path("loop/dimension=1__samples=50/replace.nc")
    whole = path.read_bytes()
    for each in (path, dataset):
        each.write_bytes(each.read_bytes()[: len(whole) // 2])
    before = everything(undisturbed)
    said = undisturbed.run("--dry-run", DATASET)
    for each in (path, dataset):
        name = each.relative_to(undisturbed.directory)
        assert f"{name} is damaged: a run will make it again" in said
    undisturbed.run("--summary", DATASET)
    undisturbed.run("--touch", DATASET)
    assert everything(undisturbed) == before
    assert "is damaged: it will be made again" in undisturbed.run(DATASET)
    assert len(path.read_bytes()) == len(whole)
    assert numbers(undisturbed).identical(reference)
    assert undisturbed.planned(DATASET) == {}


def test_a_file_that_another_process_writes_is_left_alone(undisturbed):
    """The one line of the run, and of its job, names it; without the lock nothing is to be done."""
    path = undisturbed.path("loop/dimension=1__samples=100/replace.nc")
    name = str(path.relative_to(undisturbed.directory))
    undisturbed.path("loop/metrics.nc").unlink()
    before = everything(undisturbed)
    with open(path) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        printed = undisturbed.run(DATASET, fails=True)
    assert f"{name}: can't be read (another process has it open" in printed
    assert everything(undisturbed) == before
    assert undisturbed.planned(DATASET).get("chains") is None
    undisturbed.run(DATASET)


def test_logs_and_benchmarks_that_cannot_be_written_undo_nothing(undisturbed):
    """Directories are in their place, which nobody can write to."""
    undisturbed.path("loop/metrics.nc").unlink()
    logs = undisturbed.directory / "logs" / "gather"
    (logs / "loop.benchmark.tsv").unlink()
    (logs / "loop.benchmark.tsv").mkdir()
    try:
        undisturbed.run(DATASET)
        assert undisturbed.path("loop/metrics.nc").exists()
        assert undisturbed.planned(DATASET) == {}
    finally:
        (logs / "loop.benchmark.tsv").rmdir()


def test_an_altered_file_is_found_by_its_checksum(undisturbed):
    path = undisturbed.path("loop/dimension=3__samples=100/replace.nc")
    reference = numbers(undisturbed)
    content = bytearray(path.read_bytes())
    content[-2000] ^= 0xFF
    path.write_bytes(content)
    undisturbed.path("loop/metrics.nc").unlink()
    printed = undisturbed.run(DATASET, fails=True)
    assert "damaged" in printed
    undisturbed.run(DATASET)
    assert numbers(undisturbed).identical(reference)
