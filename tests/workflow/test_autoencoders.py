"""Autoencoders through the rules: from files of images to pictures, and bad folders."""

import shutil
import signal

import numpy as np
import pytest
import xarray as xr

import pictures
from collapse.families.vae import FAMILY
from interrupting import interrupted, trains
from running import Workflow

pytest.importorskip("torch")
pytest.importorskip("sklearn")

EXPERIMENT = {
    "family": "vae",
    "regimes": ["accumulate"],
    "iterations": 2,
    "seeds": 1,
    "samples": 60,
    "settings": {"epochs": 200.0, "batch": 16, "curve_points": 2},
    "grid": {"noise": [0.2]},
}
POINT = "noise=0.2__samples=60"


def experiment(folder, **settings):
    return {**EXPERIMENT, "settings": {**EXPERIMENT["settings"], "data": str(folder), **settings}}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    workflow = Workflow(tmp_path_factory.mktemp("vae"))
    folder = pictures.folder(workflow.directory / "images", train=80, test=30, classes=("a", "b"))
    workflow.write(vae=experiment(folder))
    workflow.printed = workflow.run()
    return workflow


def test_the_dataset_keeps_the_contract(ran):
    with xr.open_dataset(ran.path("vae/metrics.nc")) as dataset:
        assert dict(dataset.sizes) == {
            "regime": 1, "noise": 1, "samples": 1, "seed": 1, "iteration": 2
        }  # fmt: skip
        assert set(dataset.data_vars) == set(FAMILY.metrics)
        for name in FAMILY.metrics:
            assert np.isfinite(dataset[name]).all(), name
        assert len(np.unique(dataset["test_loss"])) == 2
        for variable in dataset.variables.values():
            assert variable.attrs["long_name"] and variable.attrs["units"]
    assert "Nothing to be done" in ran.run()


def test_pictures_are_drawn_and_are_in_the_report(ran):
    drawn = {path.name for path in ran.path("pictures/vae").glob("[!.]*")}
    kinds = ("samples", "reconstructions")
    assert drawn == {f"{kind}__{POINT}.{end}" for kind in kinds for end in ("png", "svg")}
    figures = {path.stem for path in ran.path("figures/vae").glob("*.svg")}
    assert {"test-loss", "variance-ratio", "effective-modes", "effective-classes"} <= figures
    ran.run("--report", "results/report.html")
    report = ran.path("report.html").read_text()
    assert f"samples__{POINT}" in report and "trained on real images alone" in report
    assert "test-loss" in report


def test_only_the_pictures_are_drawn_anew_when_they_are_lost(ran):
    shutil.move(ran.path("pictures/vae"), ran.directory / "aside")
    assert ran.planned() == {"pictures": 1, "all": 1, "total": 2}
    shutil.move(ran.directory / "aside", ran.path("pictures/vae"))


def test_a_killed_training_goes_on_to_the_same_metrics(ran, tmp_path):
    workflow = Workflow(tmp_path / "copy")
    shutil.copytree(ran.directory, workflow.directory)
    workflow.write(vae=experiment(ran.directory / "images"))
    folder = workflow.path(f"vae/{POINT}/real/seed0/iter1")
    metrics = f"results/vae/{POINT}/real/seed0/iter1/metrics.json"
    reference = (folder / "metrics.json").read_bytes()
    weights = (folder / "model" / "model.safetensors").read_bytes()
    shutil.rmtree(folder / "model")
    for name in ("training.json", "metrics.json"):
        (folder / name).unlink()
    shutil.rmtree(folder / "synthetic")
    target = f"results/vae/{POINT}/real/seed0/iter1/training.json"
    printed = interrupted(workflow, target, ".train.py", signal.SIGTERM, trains)
    assert "training stopped by SIGTERM after step" in printed and "Traceback" not in printed
    assert (folder / ".training" / "training.pt").exists() and not (folder / "model").exists()
    printed = workflow.run(metrics)
    assert "starting afresh" not in printed
    assert (folder / "model" / "model.safetensors").read_bytes() == weights
    assert (folder / "metrics.json").read_bytes() == reference
    assert not (folder / ".training").exists()


def test_a_damaged_image_is_told_in_one_line(tmp_path):
    workflow = Workflow(tmp_path)
    folder = pictures.folder(tmp_path / "images", train=20, test=6)
    file = folder / "train" / "0003.png"
    file.write_bytes(file.read_bytes()[:-40])
    workflow.write(vae=experiment(folder))
    printed = workflow.run("results/vae/data/any", fails=True)
    assert "Traceback" not in printed
    line = (tmp_path / "logs" / "prepare" / "vae" / "any.log").read_text().strip()
    assert line.startswith(f"error: {file}: can't be read as an image") and "\n" not in line
    assert line in printed
    assert not workflow.path("vae/data/any").exists()
    assert not list(tmp_path.rglob("*.partial"))
