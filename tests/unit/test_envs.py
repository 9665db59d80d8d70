"""The environments of conda and of containers come from the locks that are there."""

import re
from pathlib import Path

import pytest
import yaml

from running import PROJECT

ENVS = PROJECT / "envs"


def pinned(lock):
    text = (ENVS / "locks" / lock).read_text()
    found = re.findall(r"^([\w.-]+)==([\w.+]+)", text, re.MULTILINE)
    return {name.lower(): version for name, version in found}


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_conda_environments_install_a_lock_as_it_is(name):
    environment = yaml.safe_load((ENVS / f"{name}.yaml").read_text())
    (pip,) = (one["pip"] for one in environment["dependencies"] if isinstance(one, dict))
    assert pip[0] == "--no-deps"
    locks = [Path(line.split()[1]) for line in pip[1:]]
    assert locks and all((ENVS / lock).is_file() for lock in locks)


def test_the_container_installs_a_lock_as_it_is():
    recipe = (ENVS / "container.def").read_text()
    named = [*re.findall(r"lock=(\w+)", recipe)]
    assert set(named) == {"core", "gpu"}
    assert all((ENVS / "locks" / f"{name}.txt").is_file() for name in named)
    assert "--no-deps --requirement /opt/locks/{{ lock }}.txt" in recipe
    sections = re.findall(r"^%(\w+)", recipe, re.MULTILINE)
    assert sections == ["arguments", "files", "post", "environment", "test", "labels"]


def test_gpu_machines_get_what_the_others_have():
    gpu, core = pinned("gpu.txt"), pinned("core.in")
    assert core.items() <= gpu.items()
    assert {"torch", "vllm", "transformers"} <= gpu.keys()
