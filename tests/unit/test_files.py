"""Files appear whole or not at all, also when the disk is full."""

import errno
import os
import subprocess
import sys

import pytest

from collapse.artifacts import files


@pytest.mark.parametrize("left", [True, False], ids=["left by a killed job", "new"])
def test_a_file_appears_under_its_name_only_when_it_is_whole(tmp_path, left):
    path = tmp_path / "new" / "result.txt"
    if left:
        files.write_text(path.with_name(".result.txt.partial"), "longer than what is new")
    with files.whole(path) as partial:
        partial.write_text("half")
        assert not path.exists()
    assert path.read_text() == "half"
    assert os.listdir(path.parent) == ["result.txt"]


def test_a_failure_leaves_the_old_file_and_no_partial_one(tmp_path):
    path = tmp_path / "result.txt"
    files.write_text(path, "old")
    with pytest.raises(OSError, match="No space"), files.whole(path) as partial:
        partial.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["result.txt"]


CHAIN_ON_A_FULL_DISK = """
import resource, sys
from pathlib import Path
import signal
from collapse import job, regimes
from collapse.loop import chain
from collapse.study.chain_spec import ChainSpec

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
spec = ChainSpec("e", "p", "replace", regimes.NAMED["replace"], "gaussian",
                 {"dimension": 2}, 10, 100, tuple(range(1, 101)))
with job.guarded(sys.argv[2]):
    chain.run(Path(sys.argv[1]), specification=spec.as_dict(), version=1, seeds=range(100))
"""


def test_a_chain_whose_file_cannot_be_written_fails_with_one_line(tmp_path):
    path, log = tmp_path / "chain.nc", tmp_path / "chain.log"
    done = subprocess.run(
        [sys.executable, "-c", CHAIN_ON_A_FULL_DISK, str(path), str(log)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode != 0
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert os.listdir(tmp_path) == ["chain.log"]
