"""After a change of a study only missing chains run, and existing ones keep their numbers."""

import numpy as np
import pytest
import xarray as xr

from running import Workflow

EXPERIMENT = {
    "family": "gaussian",
    "regimes": ["replace", "accumulate"],
    "iterations": 4,
    "seeds": [0, 1, 2],
    "samples": [10, 20],
    "grid": {"dimension": [2]},
}
CHAINS = {
    f"dimension=2__samples={n}/{regime}.nc"
    for n in (10, 20)
    for regime in ("replace", "accumulate")
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    return Workflow.ran(tmp_path_factory.mktemp("incremental"), loop=EXPERIMENT)


def chains(workflow: Workflow) -> dict[str, int]:
    """Return the files of chains, with the time of their last change."""
    root = workflow.path("loop")
    return {
        str(path.relative_to(root)): path.stat().st_mtime_ns
        for path in root.glob("*/*.nc")
        if not path.name.startswith(".")
    }


def metrics(workflow: Workflow) -> xr.Dataset:
    return xr.load_dataset(workflow.path("loop/metrics.nc"))


CHANGES = {
    "regime": (
        {"regimes": ["replace", "accumulate", "accumulate-subsample"]},
        {f"dimension=2__samples={n}/accumulate-subsample.nc" for n in (10, 20)},
    ),
    "value": (
        {"samples": [10, 15, 20]},
        {f"dimension=2__samples=15/{regime}.nc" for regime in ("replace", "accumulate")},
    ),
    # A chain's file holds all its seeds, so each file is written again, but only new seeds run.
    "seeds": ({"seeds": [0, 1, 2, 7]}, CHAINS),
}


@pytest.mark.parametrize("change", CHANGES)
def test_only_new_chains_run(ran, change, tmp_path_factory):
    edit, new = CHANGES[change]
    old, before = metrics(ran), chains(ran)
    assert set(before) == CHAINS
    try:
        ran.write(loop={**EXPERIMENT, **edit})
        # A job holds the chains of a point.
        assert ran.planned()["chains"] == len({name.partition("/")[0] for name in new})
        ran.run()
        after = chains(ran)
        assert {name for name, time in after.items() if before.get(name) != time} == new
        both = metrics(ran)
        common = {dimension: old[dimension].values for dimension in old.dims}
        xr.testing.assert_identical(both.sel(common).drop_attrs(), old.drop_attrs())
        fresh = Workflow.ran(tmp_path_factory.mktemp("fresh"), cores=1, loop={**EXPERIMENT, **edit})
        xr.testing.assert_identical(metrics(fresh).drop_attrs(), both.drop_attrs())
    finally:
        ran.write(loop=EXPERIMENT)
        for name in new - CHAINS:
            (ran.path("loop") / name).unlink()
        ran.run()


def test_more_iterations_continue_the_same_chains(ran):
    old = metrics(ran)
    ran.write(loop={**EXPERIMENT, "iterations": 6})
    try:
        assert ran.planned()["chains"] == 2
        ran.run()
        longer = metrics(ran).sel(iteration=old["iteration"])
        for name in old.data_vars:
            assert np.array_equal(longer[name], old[name], equal_nan=True)
    finally:
        ran.write(loop=EXPERIMENT)
        ran.run()
