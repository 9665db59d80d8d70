"""Ranks of a training as forks of this process, which has imported what they need.

Importing transformers takes a rank longer than a tiny training. How ranks are started for users,
as processes of their own, other tests check (tests/unit/test_training.py, tests/slurm).
"""

import importlib.util
import multiprocessing
import os
import runpy
import signal
import sys
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from collapse.training import launching


class Fork:
    """What `collapse.training.launching` uses of a process that `subprocess` has started."""

    def __init__(self, words, env, start_new_session):
        _, dash_m, module, *arguments = words
        assert dash_m == "-m" and start_new_session
        self._process = multiprocessing.get_context("fork").Process(
            target=self._run, args=(module, arguments, env)
        )
        self._process.start()

    @staticmethod
    def _run(module, arguments, environment):
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.environ.clear()
        os.environ.update(environment)
        import torch

        torch.set_num_threads(1)  # as OMP_NUM_THREADS says to a process that starts
        sys.argv = [module, *arguments]
        # By its path, because pytest's importer does not give the code of a module.
        runpy.run_path(importlib.util.find_spec(module).origin, run_name="__main__")

    @property
    def returncode(self):
        return self._process.exitcode

    def poll(self):
        return self._process.exitcode

    def send_signal(self, number):
        os.kill(self._process.pid, number)

    def kill(self):
        self._process.kill()

    def wait(self):
        self._process.join()


@contextmanager
def forked_ranks():
    """Start ranks as forks of this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launching, "subprocess", SimpleNamespace(Popen=Fork))
        yield
