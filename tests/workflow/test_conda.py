"""`--sdm conda` makes the right environments and uses them, shown with a stand-in for conda.

The stand-in makes environments with this Python; that conda can make them is not tested.
"""

import os
import sys

import pytest

from running import PROJECT, Workflow

CONDA = """#!/usr/bin/env bash
case "$*" in
  "info --json") echo '{{"conda_prefix": "{here}", "platform": "linux-64"}}' ;;
  --version) echo "conda 25.1.0" ;;
  "config --get"*) echo '{{"get": {{"channel_priority": "strict"}}}}' ;;
  "env create"*)
    while [ "$1" != --prefix ]; do shift; done
    mkdir -p "$2/bin"
    cp "{here}/python" "$2/bin/python" ;;
  clean*) ;;
  *) echo "unexpected: conda $*" >&2; exit 1 ;;
esac
"""
PYTHON = """#!/usr/bin/env bash
if [ "$1 $2" = "-m pip" ]; then
  echo "$*" >"{here}/installed"
  cat >>"{here}/installed"
else
  echo "$*" >>"{here}/ran"
  exec "{python}" "$@"
fi
"""
ACTIVATE = 'export CONDA_PREFIX="$1" PATH="$1/bin:$PATH"\n'

GAUSSIAN = {
    "family": "gaussian",
    "regimes": ["replace"],
    "iterations": 2,
    "seeds": 2,
    "samples": 10,
    "grid": {"dimension": 1},
}
DATASET = "results/closed/metrics.nc"


@pytest.fixture
def conda(tmp_path, monkeypatch):
    """Put the stand-in on the path, and return its folder, where it logs its arguments."""
    here = tmp_path / "conda"
    (here / "bin").mkdir(parents=True)
    for path, text in (("bin/conda", CONDA), ("python", PYTHON), ("bin/activate", ACTIVATE)):
        (here / path).write_text(text.format(here=here, python=sys.executable))
        (here / path).chmod(0o755)
    monkeypatch.setenv("PATH", f"{here / 'bin'}:{os.environ['PATH']}")
    return here


def test_jobs_run_in_an_environment_of_the_locked_packages(tmp_path, conda):
    workflow = Workflow(tmp_path)
    workflow.write(closed=GAUSSIAN)
    workflow.run(DATASET, "--sdm", "conda")
    assert (tmp_path / DATASET).exists()
    command, _, lock = (conda / "installed").read_text().partition("\n")
    assert command == "-m pip install --no-deps --requirement /dev/stdin"
    assert lock == (PROJECT / "envs" / "locks" / "core.txt").read_text()
    assert "chains.py" in (conda / "ran").read_text()
    assert workflow.planned(DATASET) == {}  # another deployment is no reason to run again


def test_neural_families_have_an_environment_of_their_own(tmp_path, conda):
    workflow = Workflow(tmp_path)
    steps = {**GAUSSIAN, "per_iteration": True}
    neural = {**GAUSSIAN, "family": "language_model", "grid": {"model": "tiny"}}
    workflow.write(closed=GAUSSIAN, steps=steps)
    assert made(workflow) == {"cpu.yaml"}
    workflow.write(closed=GAUSSIAN, steps=steps, neural=neural)
    assert made(workflow) == {"cpu.yaml", "gpu.yaml"}


def made(workflow):
    printed = workflow.run("--dry-run", "--sdm", "conda")
    lines = [line for line in printed.splitlines() if line.startswith("Conda environment")]
    return {line.split()[2].rpartition("/")[2] for line in lines}
