"""Every command that the README shows runs, in a copy of the project with the study it shows."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from running import PROJECT

README = (PROJECT / "README.md").read_text(encoding="utf-8")
PROSE = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
COMMANDS = [
    line.partition("#")[0].strip() for line in re.findall(r"^    (\S.*)$", PROSE, re.MULTILINE)
]
#: What each prints, and the status with which it ends. Without a cluster, faults are found; on one,
#: the same programs run in tests/slurm.
PRINTED = {
    "make run": ("report: results/report.html", 0),
    "make run STUDY=my.yaml": ("gaussian      half-fresh", 0),
    "make doctor STUDY=my.yaml": ("FAULT  SLURM: sinfo: out of order", 2),
    ".venv/bin/python scripts/launch.py -- --config study=my.yaml": ("FAULT  SLURM: sinfo", 1),
}
#: What the commands need of the project.
NEEDED = ("Snakefile", "Makefile", "config", "docs", "envs", "profiles", "rules", "scripts")


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clone") / "project"
    folder.mkdir()
    for name in NEEDED:
        copied = shutil.copytree if (PROJECT / name).is_dir() else shutil.copy2
        copied(PROJECT / name, folder / name)
    (folder / ".venv").symlink_to(sys.prefix)
    (study,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    # The default study takes minutes, and is the one of tests/workflow/test_ci_study.py in large.
    for path in ("my.yaml", "config/studies/quick.yaml"):
        (folder / path).write_text(study, encoding="utf-8")
    stand_ins = folder / "no-cluster"
    stand_ins.mkdir()
    for name in ("sbatch", "sinfo", "squeue", "srun", "scontrol", "sacct"):
        (stand_ins / name).write_text("#!/bin/sh\necho out of order >&2\nexit 1\n")
        (stand_ins / name).chmod(0o755)
    return folder


def test_all_commands_are_known():
    assert list(PRINTED) == COMMANDS


@pytest.mark.parametrize("command", PRINTED)
def test_a_command_runs(copy, command):
    # What is installed is not installed again, however old the stamps of the environment are.
    old = " ".join(f"-o .venv/{stamp}" for stamp in ("core", "models", "dev"))
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=copy,
        env={**os.environ, "PATH": f"{copy}/no-cluster:{os.environ['PATH']}", "MAKEFLAGS": old},
        capture_output=True,
        text=True,
        timeout=300,
    )
    said, status = PRINTED[command]
    printed = done.stdout + done.stderr
    assert done.returncode == status and said in printed and "Traceback" not in printed, printed
