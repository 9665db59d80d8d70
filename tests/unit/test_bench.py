"""The benchmark runs, and compares every closed-form family with the plain loop."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from collapse import families

PROJECT = Path(__file__).parents[2]


def test_the_quick_benchmark_prints_a_ratio_for_every_closed_form_family():
    done = subprocess.run(
        [
            sys.executable,
            str(PROJECT / "benchmarks" / "bench.py"),
            "--quick",
            "--only",
            "closed-form",
        ],
        env={**os.environ, "PYTHONPATH": str(PROJECT / "scripts")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    closed_form = [name for name in families.MODULES if families.load(name).closed_form]
    assert len(closed_form) >= 4
    for family in closed_form:
        ratio = re.search(rf"^{family} .* (\d+)x ", done.stdout, re.MULTILINE)
        assert ratio, done.stdout
        memory = re.search(rf"^  {family} +(\d+)  below 2000: met$", done.stdout, re.MULTILINE)
        assert memory, done.stdout
        assert int(memory[1]) > 10
