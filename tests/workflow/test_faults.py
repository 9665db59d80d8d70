"""An interruption, a damaged file, a full disk: nothing is lost, and the numbers stay."""

import os
import signal
import subprocess
import time

import pytest
import xarray as xr

from running import Workflow

EXPERIMENT = {
    "family": "gaussian",
    "regimes": ["replace", "accumulate-subsample"],
    "iterations": 20,
    "seeds": 40,
    "samples": [50, 100, 200],
    "grid": {"dimension": [1, 3]},
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    workflow = Workflow(tmp_path_factory.mktemp("undisturbed"))
    workflow.write(loop=EXPERIMENT)
    workflow.run()
    return workflow


def same_numbers(one: Workflow, other: Workflow) -> bool:
    datasets = [xr.load_dataset(w.path("loop/metrics.nc")).drop_attrs() for w in (one, other)]
    return datasets[0].identical(datasets[1])


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_run_ends_in_the_same_numbers(undisturbed, tmp_path, how):
    workflow = Workflow(tmp_path)
    workflow.write(loop=EXPERIMENT)
    process = subprocess.Popen(
        workflow.command(),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob("results/loop/*/*.nc"))) < 3:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, how)
    process.wait(timeout=60)
    assert len(list(tmp_path.glob("results/loop/*/*.nc"))) < 12, "it was not interrupted"
    if how == signal.SIGKILL:
        workflow.run("--unlock")
    workflow.run()
    assert same_numbers(undisturbed, workflow)
    assert not list(tmp_path.rglob("*.partial"))


def test_a_truncated_file_is_made_again(undisturbed):
    path = undisturbed.path("loop/dimension=1__samples=50/replace.nc")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "is damaged: it will be made again" in undisturbed.run()
    assert len(path.read_bytes()) == len(whole)
    assert "Nothing to be done" in undisturbed.run()


def test_an_altered_file_is_found_by_its_checksum(undisturbed, tmp_path):
    path = undisturbed.path("loop/dimension=3__samples=200/replace.nc")
    reference = xr.load_dataset(undisturbed.path("loop/metrics.nc")).drop_attrs()
    content = bytearray(path.read_bytes())
    middle = len(content) - 2000
    content[middle] ^= 0xFF
    path.write_bytes(content)
    undisturbed.path("loop/metrics.nc").unlink()
    printed = undisturbed.run(fails=True)
    assert "damaged" in printed
    assert "Traceback" not in printed
    undisturbed.run()
    again = xr.load_dataset(undisturbed.path("loop/metrics.nc")).drop_attrs()
    assert again.identical(reference)
