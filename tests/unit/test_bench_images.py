"""The benchmark of autoencoders: both loops do the same work, and the rest is measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def measured(function, argument):
    done = subprocess.run(
        [sys.executable, "processes.py", "images", function, json.dumps([argument])],
        cwd=BENCHMARKS,
        env={**os.environ, "PYTHONPATH": str(BENCHMARKS.parent / "scripts")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_both_loops_end_with_the_same_weights():
    found, _ = measured("step", ["tiny", 8, 1, 2, 6])
    assert found["difference"] == 0
    assert 0 < found["batch"] < found["ours"] and found["bare"] > 0


def test_what_a_training_set_takes_is_measured():
    found, memory = measured("train", 150)
    assert set(found) == {"store / s", "batch / ms"} and found["batch / ms"] > 0
    assert 100 < memory < 4000
