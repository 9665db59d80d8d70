"""The workflow runs molecular diffusion, from SDF files to figures and overlays."""

import importlib.util

import numpy as np
import pytest
import xarray as xr

from running import Workflow

NEEDED = ("torch", "rdkit")
pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in NEEDED),
    reason="needs the libraries of the neural families",
)
EXPERIMENT = {
    "family": "molecule_diffusion",
    "regimes": ["replace", "accumulate"],
    "iterations": 2,
    "seeds": 1,
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


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    return Workflow.ran(tmp_path_factory.mktemp("molecules"), molecules=EXPERIMENT)


def test_the_dataset_keeps_the_contract(ran):
    with xr.open_dataset(ran.path("molecules/metrics.nc")) as dataset:
        assert dict(dataset.sizes) == {
            "regime": 2, "model": 1, "diffusion_steps": 1, "samples": 1, "seed": 1, "iteration": 2
        }  # fmt: skip
        assert np.isfinite(dataset["test_loss"]).all()
        first = dataset["test_loss"].sel(iteration=1)
        assert (first == first.isel(regime=0)).all()
        assert len(np.unique(dataset["test_loss"].sel(iteration=2))) == 2


def test_figures_and_overlays_are_drawn(ran):
    figures = {path.stem for path in ran.path("figures/molecules").glob("*.svg")}
    assert {"test-loss", "matching-recall", "bond-length-distance", "sane-share"} <= figures
    overlays = [path.stem for path in ran.path("pictures/molecules").glob("*.png")]
    assert sorted(overlays) == [
        f"overlay-{number}__diffusion_steps=3__samples=10" for number in (1, 2, 3)
    ]
    assert "Nothing to be done" in ran.run("--dry-run")
