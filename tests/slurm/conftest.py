"""The undisturbed local run, the check for a cluster, and the lines printed after the tests."""

import os
import re
import shutil
import subprocess
import time

import pytest

from collapse import study as studies
from harness import CI
from running import Workflow

LINES = []


@pytest.fixture
def tell():
    """Return a function that has a line printed after the tests."""
    return LINES.append


@pytest.fixture(scope="session")
def ci(tmp_path_factory):
    """Run the CI study without SLURM, and return its datasets and the seconds that they took."""
    here = Workflow(tmp_path_factory.mktemp("here"))
    here.study = CI
    began = time.monotonic()
    here.experiments = list(studies.load(CI).experiments)
    here.run(*(f"results/{name}/metrics.nc" for name in here.experiments))
    here.seconds = time.monotonic() - began
    return here


def pytest_terminal_summary(terminalreporter):
    if LINES:
        terminalreporter.section("SLURM")
        terminalreporter.write_line("\n".join(LINES))


def pytest_collection_modifyitems(items):
    reason = missing()
    if reason is None:
        return
    if os.environ.get("CI"):
        raise pytest.UsageError(f"under CI these tests must run, but {reason}")
    for item in items:
        item.add_marker(pytest.mark.skip(reason=f"{reason}: see make slurm-test"))


def missing():
    """Return the reason why there is no cluster for the tests, or None."""
    if shutil.which("sinfo") is None:
        return "SLURM is not installed"
    try:
        show = ["scontrol", "show", "config"]
        config = subprocess.run(show, capture_output=True, text=True, timeout=20, check=True).stdout
    except (subprocess.SubprocessError, OSError):
        return "no SLURM cluster answers"
    if not re.search(r"^ClusterName\s*=\s*test$", config, re.MULTILINE):
        return "the cluster that answers is not that of tests/slurm/cluster"
    return None
