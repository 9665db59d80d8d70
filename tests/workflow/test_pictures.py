"""The workflow runs the families that draw pictures, from images and SDF files to the report."""

import shutil

import numpy as np
import pytest
import xarray as xr

import pictures
from collapse import families
from running import Workflow

for library in ("torch", "sklearn", "rdkit"):
    pytest.importorskip(library)

COMMON = {"regimes": ["accumulate"], "iterations": 2, "seeds": 1}
AUTOENCODERS = {
    **COMMON,
    "family": "vae",
    "samples": 60,
    "settings": {"epochs": 30.0, "batch": 16, "curve_points": 2},
    "grid": {"noise": [0.2]},
}
CONFORMATIONS = {
    **COMMON,
    "family": "molecule_diffusion",
    "samples": 10,
    "settings": {
        "molecules": 6,
        "conformations": 2,
        "test_molecules": 1,
        "hydrogens": False,
        "epochs": 2.0,
        "judged": 6,
    },
    "grid": {"diffusion_steps": [3]},
}
#: Of each experiment: its axes, metrics that must be numbers, figures, and pictures by point.
EXPECTED = {
    "vae": (
        {"noise"},
        list(families.load("vae").metrics),
        {"test-loss", "variance-ratio", "effective-modes", "effective-classes"},
        {f"{kind}__noise=0.2__samples=60" for kind in ("samples", "reconstructions")},
    ),
    "molecules": (
        {"model", "diffusion_steps"},
        ["test_loss"],
        {"test-loss", "matching-recall", "bond-length-distance", "sane-share"},
        {f"overlay-{number}__diffusion_steps=3__samples=10" for number in (1, 2, 3)},
    ),
}
EACH = pytest.mark.parametrize("experiment", EXPECTED)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    directory = tmp_path_factory.mktemp("pictures")
    folder = pictures.folder(directory / "images", train=80, test=30, classes=("a", "b"))
    settings = {**AUTOENCODERS["settings"], "data": str(folder)}
    vae = {**AUTOENCODERS, "settings": settings}
    return Workflow.ran(directory, vae=vae, molecules=CONFORMATIONS)


@EACH
def test_the_dataset_keeps_the_contract(ran, experiment):
    axes, finite, *_ = EXPECTED[experiment]
    with xr.open_dataset(ran.path(f"{experiment}/metrics.nc")) as dataset:
        expected = dict.fromkeys({*axes, "regime", "samples", "seed"}, 1)
        assert dict(dataset.sizes) == {**expected, "iteration": 2}
        for name in finite:
            assert np.isfinite(dataset[name]).all(), name
        assert len(np.unique(dataset["test_loss"])) == 2


def test_a_second_run_has_nothing_to_do(ran):
    assert "Nothing to be done" in ran.run()


@EACH
def test_figures_and_pictures_are_drawn_and_are_in_the_report(ran, experiment):
    *_, figures, drawn = EXPECTED[experiment]
    found = {path.name for path in ran.path(f"pictures/{experiment}").glob("[!.]*")}
    assert found == {f"{picture}.{end}" for picture in drawn for end in ("png", "svg")}
    assert figures <= {path.stem for path in ran.path(f"figures/{experiment}").glob("*.svg")}
    report = reported(ran)
    assert all(picture in report for picture in drawn) and "test-loss" in report


def reported(ran):
    path = ran.path("report.html")
    if not path.exists():
        ran.run("--report", "results/report.html")
    report = path.read_text()
    assert "trained on real images alone" in report
    return report


def test_only_the_pictures_are_drawn_anew_when_they_are_lost(ran):
    shutil.move(ran.path("pictures/vae"), ran.directory / "aside")
    assert ran.planned() == {"pictures": 1, "all": 1}
    shutil.move(ran.directory / "aside", ran.path("pictures/vae"))
