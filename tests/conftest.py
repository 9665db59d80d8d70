"""Settings and fixtures of all tests."""

import os
import signal

import pytest
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

# A shell makes its background processes ignore Ctrl-C, which processes that tests start inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def at_home(tmp_path, monkeypatch):
    """Work in the test's own folder, and don't wait for small files to reach the disk."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(scope="module")
def one_thread():
    """Let torch compute in one thread, because small models have threads wait for each other."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
