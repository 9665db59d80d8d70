"""Makes `reference` importable from the tests beside it, and property tests repeatable."""

import os
import signal

import pytest
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

# A shell lets what it runs in the background ignore Ctrl-C, and with it all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def at_home(tmp_path, monkeypatch):
    """Work in the test's own folder, where hundreds of small files need not reach the disk."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(scope="module")
def one_thread():
    """Let torch compute in one thread: models this small would have theirs wait for each other."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
