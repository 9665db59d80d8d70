"""The environments of conda and of containers come from the locks that are there."""

import re
import subprocess

import pytest
import yaml

from running import PROJECT

ENVS = PROJECT / "envs"


def pinned(lock):
    text = (ENVS / "locks" / lock).read_text()
    found = re.findall(r"^([\w.-]+)==([\w.+]+)", text, re.MULTILINE)
    return {name.lower(): version for name, version in found}


@pytest.mark.parametrize(("name", "lock"), [("cpu", "core"), ("gpu", "gpu")])
def test_conda_environments_install_a_lock_as_it_is(name, lock):
    environment = yaml.safe_load((ENVS / f"{name}.yaml").read_text())
    assert environment["channels"] == ["conda-forge"]
    # That of the locks: make lock compiles them for it.
    assert environment["dependencies"] == ["python=3.11", "pip"]
    script = (ENVS / f"{name}.post-deploy.sh").read_text()
    made = subprocess.run([ENVS / "post-deploy", lock], capture_output=True, text=True, check=True)
    assert script == made.stdout, "make lock writes it"
    assert (ENVS / "locks" / f"{lock}.txt").read_text() in script
    assert "-m pip install --no-deps --requirement /dev/stdin <<" in script
    subprocess.run(["bash", "-n", ENVS / f"{name}.post-deploy.sh"], check=True)


def test_every_job_has_a_conda_environment():
    rules = "".join(path.read_text() for path in sorted((PROJECT / "rules").glob("*.smk")))
    described = re.findall(r"^rule (\w+):\n((?:(?: .*)?\n)+)", rules, re.MULTILINE)
    without = {name for name, text in described if "    conda:\n" not in text}
    assert len(described) > 10 and without == set()


def test_the_container_installs_a_lock_as_it_is():
    recipe = (ENVS / "container.def").read_text()
    named = [*re.findall(r"lock=(\w+)", recipe)]
    assert set(named) == {"core", "gpu"}
    assert all((ENVS / "locks" / f"{name}.txt").is_file() for name in named)
    assert "--no-deps --requirement /opt/locks/{{ lock }}.txt" in recipe
    sections = re.findall(r"^%(\w+)", recipe, re.MULTILINE)
    assert sections == ["arguments", "files", "post", "environment", "test", "labels"]
    copied = re.search(r"^%files\n((?: +.*\n)+)", recipe, re.MULTILINE)[1].split()[::2]
    assert copied and all((PROJECT / path).exists() for path in copied)
    post = re.search(r"^%post\n((?:(?: .*)?\n)+)", recipe, re.MULTILINE)[1]
    subprocess.run(["sh", "-n"], input=post, text=True, check=True)
    assert "From: python:3.11" in recipe


@pytest.mark.parametrize("lock", sorted(ENVS.glob("locks/*.txt")), ids=lambda path: path.stem)
def test_locks_pin_every_package_to_one_version(lock):
    lines = [line for line in lock.read_text().splitlines() if line and line[0] not in "#"]
    if lock.stem.startswith("overrides"):
        return
    pattern = r"[a-z0-9._-]+(\[[a-z0-9,-]+\])?==[\w.!+]+( ; .*)?"
    assert not [line for line in lines if not re.fullmatch(pattern, line)]


def test_gpu_machines_get_what_the_others_have():
    gpu, core = pinned("gpu.txt"), pinned("core.in")
    assert core.items() <= gpu.items()
    assert {"torch", "vllm", "transformers"} <= gpu.keys()
