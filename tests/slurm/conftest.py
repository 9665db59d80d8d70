"""The undisturbed local run, the check for a cluster, and the lines printed after the tests."""

import contextlib
import fcntl
import os
import re
import shutil
import subprocess

import pytest

from collapse import study as studies
from harness import CI, CLUSTERS, locked, shared_folder, undisturbed

LINES = []


@pytest.fixture
def tell(request):
    """Return a function that has a line printed after the tests."""
    return lambda line: request.node.user_properties.append(("SLURM", line))


def pytest_runtest_logreport(report):
    if report.when == "call":
        LINES.extend(line for name, line in report.user_properties if name == "SLURM")


@pytest.fixture(autouse=True)
def the_cluster(request, tmp_path_factory):
    """Share the cluster with tests of other processes, or have it alone (marker `alone`).

    A test that wants it alone holds the door until the others have left, so that none enters.
    """
    folder = shared_folder(tmp_path_factory)
    alone = request.node.get_closest_marker("alone")
    with contextlib.ExitStack() as stack:
        with locked(folder / "door.lock"):
            stack.enter_context(
                locked(folder / "tests.lock", fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            )
        yield
        while CLUSTERS:
            CLUSTERS.pop().leave()


@pytest.fixture(scope="session")
def ci(tmp_path_factory):
    """Run the CI study without SLURM, and return its datasets and the seconds that they took."""
    names = list(studies.load(CI).experiments)
    targets = [f"results/{name}/metrics.nc" for name in names]
    here = undisturbed(tmp_path_factory, "ci", CI, *targets)
    here.experiments = names
    return here


def pytest_terminal_summary(terminalreporter):
    if LINES:
        terminalreporter.section("SLURM")
        terminalreporter.write_line("\n".join(LINES))


def pytest_configure(config):
    config.addinivalue_line("markers", "alone: nothing else may use the cluster meanwhile")


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
