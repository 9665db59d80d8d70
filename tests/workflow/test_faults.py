"""Interruptions, damaged files and a full disk change no number and lose no finished work."""

import signal

import pytest
import xarray as xr

from interrupting import killed
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
    return Workflow.ran(tmp_path_factory.mktemp("undisturbed"), loop=EXPERIMENT)


def numbers(workflow: Workflow) -> xr.Dataset:
    return xr.load_dataset(workflow.path("loop/metrics.nc")).drop_attrs()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_run_ends_in_the_same_numbers(undisturbed, tmp_path, how):
    workflow = Workflow(tmp_path)
    workflow.write(loop=EXPERIMENT)

    def chains():
        return len(list(tmp_path.glob("results/loop/*/*.nc")))

    killed(workflow, ready=lambda: chains() >= 3, how=how)
    assert chains() < 12, "it was not interrupted"
    workflow.run()
    assert numbers(workflow).identical(numbers(undisturbed))
    assert not list(tmp_path.rglob("*.partial"))


def test_a_truncated_file_is_made_again(undisturbed):
    path = undisturbed.path("loop/dimension=1__samples=50/replace.nc")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "is damaged: it will be made again" in undisturbed.run()
    assert len(path.read_bytes()) == len(whole)
    assert "Nothing to be done" in undisturbed.run()


def test_an_altered_file_is_found_by_its_checksum(undisturbed):
    path = undisturbed.path("loop/dimension=3__samples=200/replace.nc")
    reference = numbers(undisturbed)
    content = bytearray(path.read_bytes())
    content[-2000] ^= 0xFF
    path.write_bytes(content)
    undisturbed.path("loop/metrics.nc").unlink()
    printed = undisturbed.run(fails=True)
    assert "damaged" in printed
    undisturbed.run()
    assert numbers(undisturbed).identical(reference)
