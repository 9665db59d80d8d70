"""The cluster, and the tables that the tests print in the end."""

import os
import re
import shutil
import subprocess

import pytest

LINES = []


@pytest.fixture
def tell():
    """Print a line in the end."""
    return LINES.append


def pytest_terminal_summary(terminalreporter):
    if LINES:
        terminalreporter.section("SLURM")
        for line in LINES:
            terminalreporter.write_line(line)


def pytest_collection_modifyitems(items):
    reason = missing()
    if reason is None:
        return
    if os.environ.get("CI"):
        raise pytest.UsageError(f"under CI these tests must run, but {reason}")
    for item in items:
        item.add_marker(pytest.mark.skip(reason=f"{reason}: see make slurm-test"))


def missing():
    """Say why there is no cluster."""
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
