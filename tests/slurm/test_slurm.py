"""The same study on SLURM and on this machine: the same numbers. See `make slurm-test`."""

import shutil
import subprocess

import pytest
import xarray as xr

from running import PROJECT, Workflow

pytestmark = pytest.mark.skipif(
    shutil.which("sinfo") is None
    or subprocess.run(["sinfo"], capture_output=True, timeout=20).returncode != 0,
    reason="no SLURM cluster answers: start one with tests/slurm/cluster, as make slurm-test does",
)

STUDY = {
    "gaussian": {
        "family": "gaussian",
        "regimes": ["replace", "accumulate-subsample"],
        "iterations": 10,
        "seeds": 10,
        "samples": [10, 20],
        "grid": {"dimension": [1, 3], "variance": [1.0]},
    }
}


def test_a_cluster_gives_the_numbers_of_a_laptop(tmp_path):
    here, cluster = Workflow(tmp_path / "here"), Workflow(tmp_path / "cluster")
    for workflow in (here, cluster):
        workflow.directory.mkdir()
        workflow.write(**STUDY)
    here.run()
    cluster.profile = PROJECT / "slurm"
    printed = cluster.run()
    assert "has been submitted with SLURM jobid" in printed
    one, other = (xr.load_dataset(w.path("gaussian/metrics.nc")) for w in (here, cluster))
    assert one.drop_attrs().identical(other.drop_attrs())
