"""Names that something might read in its own way come through a run, from files to figures."""

import pytest
import xarray as xr

import pictures
from running import Workflow

#: A folder of images that shells, SLURM, Snakemake and matplotlib would read, and file names.
ODD = "{a},$x$ %j/'\"\\\n"
NAME = "@7ba@7d@2c@24x@24@20@25j@2f@27@22@5c@0a"
REGIMES = {"metrics": {"keep_real": True, "generate": ["n", "n*1.1^(t-1)"]}}
COMMON = {"regimes": ["metrics"], "seeds": 1, "samples": 10}
IMAGES = {
    "family": "vae",
    "iterations": 1,
    "settings": {"epochs": 1.0, "batch": 8, "latent": 4},
    "grid": {"data": [ODD, "x.nc"]},
}
EXPERIMENTS = {
    "data": {**COMMON, **IMAGES},
    "metrics": {**COMMON, "family": "gaussian", "iterations": 3},
}


@pytest.fixture(scope="module")
def workflow(tmp_path_factory):
    made = Workflow(tmp_path_factory.mktemp("names") / "a $b's")
    made.directory.mkdir()
    made.write_with(REGIMES, **EXPERIMENTS)
    for folder in IMAGES["grid"]["data"]:
        pictures.folder(made.directory / folder, train=40, test=10, classes=("a", "b"))
    return made


def test_every_job_of_a_study_is_planned(workflow):
    planned = workflow.planned()
    assert (planned["prepare"], planned["chains"], planned["collect"]) == (2, 1, 4)


def test_a_run_makes_the_figures(workflow):
    workflow.run("results/figures/data", "results/metrics/metrics.nc")
    figures = {path.name for path in workflow.path("figures/data").iterdir()}
    assert {f"test-loss__data={value}.svg" for value in (NAME, "x.nc")} <= figures
    with xr.open_dataset(workflow.path("data/metrics.nc")) as dataset:
        assert list(dataset["data"].values) == [ODD, "x.nc"]
    with xr.open_dataset(workflow.path("metrics/metrics.nc")) as dataset:
        growing = "metrics__generate=n@2a1.1@5e@28t-1@29"
        assert list(dataset["regime"].values) == ["metrics__generate=n", growing]
        grown = dataset["trace_ratio"].sel(regime=growing)
        assert (grown != dataset["trace_ratio"].sel(regime="metrics__generate=n")).any()
