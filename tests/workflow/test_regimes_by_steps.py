"""A regime that selects, weighs and draws provenance, by Snakemake: own shards, shared models."""

import numpy as np
import xarray as xr

from running import Workflow

EXPERIMENT = {
    "family": "gaussian", "per_iteration": True, "regimes": ["replace"], "iterations": 2,
    "seeds": 1, "samples": 10, "shard_size": 6, "grid": {"dimension": 2},
}  # fmt: skip
CHOSEN = {
    "chosen": {
        "keep_real": True, "fresh_real": "0.5n", "provenance": "bernoulli", "budget": "n",
        "select": {"score": "distance", "candidates": 4}, "weigh": {"real": 0.5},
    }
}  # fmt: skip
BOTH = EXPERIMENT | {"regimes": ["replace", "chosen"]}
METRICS = "results/loop/metrics.nc"


def test_it_joins_a_study_without_making_anything_again(tmp_path):
    workflow = Workflow.ran(tmp_path / "joined", METRICS, job_holds="step", loop=EXPERIMENT)
    before = {path: path.stat().st_mtime_ns for path in workflow.path("loop").rglob("*.json")}
    workflow.write_with(CHOSEN, loop=BOTH)
    planned = workflow.planned(METRICS)
    # Its own shards of iteration 1, whose number is drawn, and one that is evaluated at the end.
    assert planned.pop("generate") in (2, 3, 4)
    assert planned == dict.fromkeys(("assemble", "train", "evaluate", "collect", "gather"), 1)
    workflow.run(METRICS)
    assert before.items() <= {path: path.stat().st_mtime_ns for path in before}.items()
    assert workflow.planned(METRICS) == {}
    other = Workflow(tmp_path / "chain", "chain")
    other.directory.mkdir()
    other.write_with(CHOSEN, loop=BOTH)
    other.run(METRICS)
    found, expected = (
        xr.load_dataset(each.path("loop/metrics.nc")).drop_attrs() for each in (workflow, other)
    )
    xr.testing.assert_identical(found, expected)
    chosen = found.sel(regime="chosen").squeeze()
    assert chosen["accepted_share"].values[1] == 0.25 and chosen["real_share"].values[0] == 1
    assert np.isnan(found["accepted_share"].sel(regime="replace")).all()
