"""A mistake of a user ends in one line on stderr and a non-zero exit status; no job starts."""

import pytest

import forking
from running import PROJECT

RIGHT = """\
experiments:
  one:
    family: gaussian
    regimes: [replace]
    iterations: 2
    seeds: 2
    samples: 10
"""

#: What Snakemake itself says on its way to the study.
NOTES = ("Using profile ", "Config file ", "Creating specified working directory ")


def stopped(directory, *arguments):
    """Run Snakemake, and return what it prints about the mistake."""
    before = sorted(directory.iterdir())
    done = forking.snakemake(
        [
            *("--snakefile", str(PROJECT / "Snakefile")),
            *("--profile", str(PROJECT / "profiles" / "local"), "--cores", "1"),
            *("--directory", str(directory), *arguments),
        ]
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stdout + done.stderr
    said = [line for line in done.stderr.splitlines() if not line.startswith(NOTES)]
    assert len(said) == 1, said
    noted = [line for line in done.stdout.splitlines() if not line.startswith(NOTES)]
    assert not noted
    assert [path for path in sorted(directory.iterdir()) if path.name != ".snakemake"] == before
    return said[0]


@pytest.mark.parametrize("how", [[], ["--dry-run"]], ids=["run", "dry-run"])
def test_a_wrong_value(tmp_path, how):
    study = tmp_path / "study.yaml"
    study.write_text(RIGHT.replace("iterations: 2", "iterations: 0"))
    assert stopped(tmp_path, *how, "--config", f"study={study}") == (
        f"error: {study}:5: experiments.one.iterations: found 0, expected at least 1"
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (RIGHT.replace("    seeds", "\tseeds").encode(), ":6: found a mistake in the YAML ("),
        (b"\x89HDF\r\n\x1a\n\xff\xfe", ": found nothing readable (not UTF-8 text), expected a stu"),
        (None, ": found nothing readable (Is a directory), expected a study"),
    ],
    ids=["no YAML", "no text", "a folder"],
)
def test_what_is_no_study(tmp_path, content, said):
    study = tmp_path / "study.yaml"
    study.mkdir() if content is None else study.write_bytes(content)
    assert f"study.yaml{said}" in stopped(tmp_path, "--config", "study=study.yaml")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("study=missing.yaml", "study: found missing.yaml, expected the path of a study"),
        ("study=", "study: found null, expected the path of a study"),
        ("study=[a.yaml]", "study: found [a.yaml], expected the path of a study"),
        (
            "stduy=study.yaml",
            "stduy: found an unknown key, expected one of study, environments, job_holds (did y",
        ),
        ("environments=envs/cpu.yaml", "environments: found envs/cpu.yaml, expected neural and "),
        (
            "environments={neural: [a]}",
            "environments: neural: found [a], expected a file or a name",
        ),
    ],
)
def test_a_configuration_that_names_no_study(tmp_path, config, said):
    (tmp_path / "study.yaml").write_text(RIGHT)
    found = stopped(tmp_path, "--config", config)
    assert found.startswith(f"error: config/config.yaml or --config: {said}")
