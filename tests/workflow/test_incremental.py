"""After a change of a study only missing chains run, and existing ones keep their numbers."""

import numpy as np
import xarray as xr

from running import Workflow

DATASET = "results/loop/metrics.nc"
FIRST = {
    "family": "gaussian",
    "regimes": ["replace", "accumulate"],
    "iterations": 4,
    "seeds": [0, 1, 2],
    "samples": [10],
    "grid": {"dimension": [2]},
}
WIDER = FIRST | {"regimes": [*FIRST["regimes"], "accumulate-subsample"], "samples": [10, 15]}
LONGER = WIDER | {"seeds": [0, 1, 2, 7], "iterations": 6}


def chains(workflow: Workflow) -> dict[str, int]:
    """Return the files of chains, with the time of their last change."""
    root = workflow.path("loop")
    return {
        str(path.relative_to(root)): path.stat().st_mtime_ns
        for path in root.glob("*/*.nc")
        if not path.name.startswith(".")
    }


def metrics(workflow: Workflow) -> xr.Dataset:
    return xr.load_dataset(workflow.directory / DATASET).drop_attrs()


def test_a_study_that_grows_keeps_its_chains_and_their_numbers(tmp_path):
    workflow = Workflow.ran(tmp_path / "grown", DATASET, loop=FIRST)
    old, before = metrics(workflow), chains(workflow)
    assert set(before) == {
        f"dimension=2__samples=10/{regime}.nc" for regime in ("replace", "accumulate")
    }

    workflow.write(loop=WIDER)  # a regime and a value of an axis
    assert workflow.planned()["chains"] == 2  # a job for each point
    workflow.run(DATASET)
    wider = chains(workflow)
    assert len(wider) == 6 and before.items() <= wider.items()
    common = {dimension: old[dimension].values for dimension in old.dims}
    xr.testing.assert_identical(metrics(workflow).sel(common), old)

    # A chain's file holds all its seeds and iterations, so each is written again.
    old = metrics(workflow)
    workflow.write(loop=LONGER)
    assert workflow.planned()["chains"] == 2
    workflow.run(DATASET)
    found = metrics(workflow)
    common = {dimension: old[dimension].values for dimension in old.dims}
    for name in old.data_vars:
        assert np.array_equal(found[name].sel(common), old[name], equal_nan=True)
    fresh = Workflow.ran(tmp_path / "fresh", DATASET, cores=1, loop=LONGER)
    xr.testing.assert_identical(metrics(fresh), found)
