"""Settings and fixtures of all tests."""

import os
import shutil
import signal
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

# Processes that tests start keep the package compiled for each other, as they do for users.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A shell makes its background processes ignore Ctrl-C, which processes that tests start inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    """Put unit tests that train or simulate much before others, so that none is left at the end."""
    slow = {
        item.path
        for item in items
        if "one_thread" in item.fixturenames or item.path.name.startswith("test_theory_")
    }
    items.sort(key=lambda item: item.path.parent.name == "unit" and item.path not in slow)


@pytest.fixture
def at_home(tmp_path, monkeypatch):
    """Work in the test's own folder, and don't wait for small files to reach the disk."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(scope="module")
def first(request, tmp_path_factory):
    """Run `first_run` of a test's module, once; return its folder, and what it returns."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("first"))
        return Path.cwd(), request.module.first_run()


@pytest.fixture
def ran(first, tmp_path, monkeypatch):
    """Work in a copy of the folder of `first_run`; return what it returned."""
    folder, returned = first
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return returned


@pytest.fixture(scope="module")
def one_thread():
    """Let torch compute in one thread, because small models have threads wait for each other."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
