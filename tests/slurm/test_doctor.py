"""The findings of `make doctor` on a real cluster."""

import os
import subprocess
import sys

from harness import CI
from running import PROJECT


def doctor(directory, profile):
    command = [
        *(sys.executable, "-m", "collapse.cluster.preflight", "--node", "--profile", str(profile)),
        *("--directory", str(directory), "--config", f"study={CI}"),
    ]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "scripts")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    return done.returncode, done.stderr.splitlines()


def test_it_finds_a_cluster_that_will_do(tmp_path):
    status, findings = doctor(tmp_path, PROJECT / "profiles" / "slurm")
    assert status == 0
    assert all(line.startswith("ok ") for line in findings)
    for subject in ("SLURM", "partition", "account", "status of jobs", "GPUs", "Python on a node"):
        assert any(f" {subject}: " in line for line in findings), subject


def test_it_finds_what_is_wrong(tmp_path):
    profile = (PROJECT / "profiles" / "slurm" / "config.yaml").read_text()
    wrong = profile.replace("# slurm_partition: batch", "slurm_partition: gone")
    wrong = wrong.replace("prepare: {mem_mb: 4000 ", "prepare: {mem_mb: 400000 ")
    wrong = wrong.replace("status-command: squeue", "status-command: sacct")
    (tmp_path / "config.yaml").write_text(wrong)
    status, findings = doctor(tmp_path, tmp_path)
    faults = [line for line in findings if line.startswith("FAULT")]
    assert status == 1
    assert any("partition gone: there is none. Name one of batch" in line for line in faults)
    assert any("memory of prepare: asks for 1200000 MB at the last of 3" in line for line in faults)
    assert any("sacct is asked, but the cluster keeps no accounts" in line for line in faults)
