"""The benchmark of language models runs, and both loops that it compares do the same work."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
PROJECT = Path(__file__).parents[2]


def test_the_quick_benchmark_compares_steps_and_measures_the_rest():
    script = str(PROJECT / "benchmarks" / "bench.py")
    done = subprocess.run(
        [sys.executable, script, "--quick", "--only", "language-models"],
        env={**os.environ, "PYTHONPATH": str(PROJECT / "scripts")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    step = re.search(
        r"^tiny .* (\d\.\d{3})  .*; weights differ by (\S+)$", done.stdout, re.MULTILINE
    )
    assert step, done.stdout
    assert float(step[1]) > 0 and float(step[2]) < 1e-6
    assert re.search(r"^text, MB( +\S+ / \S+){5}$", done.stdout, re.MULTILINE), done.stdout
    assert re.search(r"^tokens, M( +[\w ]+ / \S+){5}$", done.stdout, re.MULTILINE), done.stdout
    assert re.search(r"^transformers( +[\d.]+){6}$", done.stdout, re.MULTILINE), done.stdout
