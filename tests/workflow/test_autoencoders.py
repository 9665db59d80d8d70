"""The workflow runs autoencoders, from files of images to pictures."""

import shutil

import numpy as np
import pytest
import xarray as xr

import pictures
from collapse.families.vae import FAMILY
from running import Workflow

pytest.importorskip("torch")
pytest.importorskip("sklearn")

EXPERIMENT = {
    "family": "vae",
    "regimes": ["accumulate"],
    "iterations": 2,
    "seeds": 1,
    "samples": 60,
    "settings": {"epochs": 30.0, "batch": 16, "curve_points": 2},
    "grid": {"noise": [0.2]},
}
POINT = "noise=0.2__samples=60"


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    directory = tmp_path_factory.mktemp("vae")
    folder = pictures.folder(directory / "images", train=80, test=30, classes=("a", "b"))
    settings = {**EXPERIMENT["settings"], "data": str(folder)}
    return Workflow.ran(directory, vae={**EXPERIMENT, "settings": settings})


def test_the_dataset_keeps_the_contract(ran):
    with xr.open_dataset(ran.path("vae/metrics.nc")) as dataset:
        assert dict(dataset.sizes) == {
            "regime": 1, "noise": 1, "samples": 1, "seed": 1, "iteration": 2
        }  # fmt: skip
        assert set(dataset.data_vars) == set(FAMILY.metrics)
        for name in FAMILY.metrics:
            assert np.isfinite(dataset[name]).all(), name
        assert len(np.unique(dataset["test_loss"])) == 2
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
    assert ran.planned() == {"pictures": 1, "all": 1}
    shutil.move(ran.directory / "aside", ran.path("pictures/vae"))
