"""The benchmark runs, and compares every family with the plain loop."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from collapse import families

PROJECT = Path(__file__).parents[2]


def test_the_quick_benchmark_prints_a_ratio_for_every_family():
    done = subprocess.run(
        [sys.executable, str(PROJECT / "benchmarks" / "bench.py"), "--quick"],
        env={**os.environ, "PYTHONPATH": str(PROJECT / "scripts")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for family in families.MODULES:
        ratio = re.search(rf"^{family} .* (\d+)x ", done.stdout, re.MULTILINE)
        assert ratio, done.stdout
        memory = re.search(rf"^  {family} +(\d+)  below 2000: met$", done.stdout, re.MULTILINE)
        assert memory, done.stdout
        assert int(memory[1]) > 10
