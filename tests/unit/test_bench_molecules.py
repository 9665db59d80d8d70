"""The benchmark of molecules runs, and both ways that it compares do the same work."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from running import PROJECT

pytest.importorskip("torch_geometric")
pytest.importorskip("rdkit")


def test_the_quick_benchmark_compares_batches_with_a_loop():
    done = subprocess.run(
        [
            sys.executable,
            str(PROJECT / "benchmarks" / "bench.py"),
            "--quick",
            "--only",
            "molecules",
        ],
        env={**os.environ, "PYTHONPATH": str(PROJECT / "scripts")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    row = r"^small +4 +\d+ +(\d+\.\d) +(\d+\.\d) +\d+\.\d  (training|sampling).*differ by (\S+)$"
    found = re.findall(row, done.stdout, re.MULTILINE)
    assert [what for _, _, what, _ in found] == ["training", "sampling"], done.stdout
    assert all(float(ours) > 0 < float(loop) for ours, loop, _, _ in found)
    assert all(float(difference) < 1e-4 for *_, difference in found)
