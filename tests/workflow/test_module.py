"""The workflow as a module of somebody's own Snakefile, with a study and rules of their own."""

import pytest
import yaml

import forking
from running import PROJECT

SNAKEFILE = f"""\
configfile: "config.yaml"


module collapse:
    snakefile:
        "{PROJECT}/Snakefile"
    config:
        config["loops"]


use rule * from collapse as loop_*


rule mine:
    default_target: True
    input:
        expand("results/{{experiment}}/metrics.nc", experiment=["closed", "steps"]),
    output:
        "mine.txt",
    shell:
        "ls {{input}} > {{output}}"
"""
COMMON = {"family": "gaussian", "regimes": ["replace"], "iterations": 2, "seeds": 1, "samples": 10}
EXPERIMENTS = {"closed": COMMON, "steps": {**COMMON, "per_iteration": True}}


@pytest.fixture
def snakemake(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"loops": {"study": "my.yaml"}, "own": 1}))
    (tmp_path / "my.yaml").write_text(yaml.safe_dump({"experiments": EXPERIMENTS}))

    return lambda *arguments: forking.snakemake(["--cores", "2", *arguments])


def test_it_runs_beside_own_rules(snakemake, tmp_path):
    done = snakemake("mine", "loop_explain", "--rerun-triggers", "params")
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "mine.txt").read_text().split()) == 2
    again = snakemake("--dry-run", "--rerun-triggers", "params")
    assert "Nothing to be done" in again.stdout + again.stderr


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({}, "study: found null, expected the path of a study"),
        ({"study": "other.yaml"}, "found other.yaml, expected the path of a study (looked in "),
        ({"study": "my.yaml", "own": 1}, "own: found an unknown key"),
    ],
)
def test_a_mistake_is_told_in_one_line(snakemake, tmp_path, config, said):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"loops": config}))
    done = snakemake("--dry-run", "--quiet", "all")
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1 and line.startswith("error: ") and said in line
