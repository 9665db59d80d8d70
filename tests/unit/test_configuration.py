"""Doctor and launcher read the study as Snakemake does, from any argument, with blanks in paths."""

import shlex
import subprocess

import pytest

from collapse.cluster import preflight
from collapse.loop import run
from collapse.study import StudyError
from running import PROJECT

STUDY = """\
experiments:
  mine: {family: gaussian, regimes: [replace], iterations: 2, seeds: 1, samples: 10}
"""
NAMED = "study=a $b's.yaml"


@pytest.fixture
def directory(tmp_path):
    place = tmp_path / "a $b's"
    place.mkdir()
    (place / "a $b's.yaml").write_text(STUDY)
    (place / "one file.yaml").write_text('study: "a $b\'s.yaml"\n')
    (place / "other.yaml").write_text("study: config/studies/ci.yaml\n")
    (place / "config.yaml").write_text("configfile: [one file.yaml]\n")
    return place


def study_of(arguments, directory, profile=PROJECT / "profiles" / "local"):
    return [*preflight.study_of(arguments, directory, profile).experiments]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--config", NAMED],
        [f"--config={NAMED}"],
        ["-C", NAMED],
        ["--config", "study=other.yaml", NAMED],
        ["--configfile", "one file.yaml"],
        ["--configfiles", "other.yaml", "one file.yaml"],
        ["--configfile", "other.yaml", "--config", NAMED],
        ["results/mine/metrics.nc", "--dry-run", "-C", NAMED],
        ["--replace-workflow-config", "--configfile", "one file.yaml"],
    ],
    ids=" ".join,
)
def test_snakemakes_arguments_name_the_study(directory, arguments):
    assert study_of(arguments, directory) == ["mine"]


def test_a_profile_may_name_the_study_and_nothing_names_the_default(directory):
    assert study_of([], directory, profile=directory) == ["mine"]
    assert "mine" not in study_of([], directory)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([NAMED], f"found {NAMED}, expected --config {shlex.quote(NAMED)}"),
        (["--configfile", "none.yaml"], "none.yaml"),
        (["--confg", NAMED], "unrecognized arguments: --confg"),
        (["--config", "study"], "name=value"),
        (["-C", "study=[1]"], "study: found ['1'], expected the path of a study"),
    ],
)
def test_what_snakemake_would_not_understand_is_told_in_one_line(directory, arguments, said):
    with pytest.raises(StudyError) as error:
        study_of(arguments, directory)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_the_doctor_takes_snakemakes_arguments(directory, capsys):
    local = str(PROJECT / "profiles" / "local")
    given = ["--profile", local, "--directory", str(directory)]
    assert preflight.main([*given, "--config", NAMED]) == 0
    assert f"free in {directory}" in capsys.readouterr().err
    assert preflight.main([*given, "-C", "study=none.yaml"]) == 1
    assert capsys.readouterr().err.startswith("FAULT  study: config/config.yaml or --config: study")


@pytest.mark.parametrize(
    ("name", "faults"), [("a b", []), ("a'b", []), ("$x", ["$"]), ("50%`\\", ["% \\ `"])]
)
def test_a_folder_that_sbatch_would_not_take_is_found(name, faults):
    found = preflight._paths(PROJECT / name, submits=True)
    assert [one.found for one in found] == [
        f"{PROJECT / name} has {odd}, which sbatch would not take as it is" for odd in faults
    ]
    assert not list(preflight._paths(PROJECT / name, submits=False))


@pytest.mark.parametrize("path", ["a b.yaml", "a $b's.yaml", "a), (b.yaml"])
@pytest.mark.parametrize(("target", "commands"), [("doctor", 1), ("run", 2)])
def test_make_hands_on_a_path_as_it_is(target, commands, path):
    made = ("--assume-old=.venv/core", "--assume-old=.venv/models")
    command = ["make", "--dry-run", *made, target, f"STUDY={path}"]
    printed = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    words = shlex.split(printed.stdout)
    assert words.count(f"study={path}") == words.count("--config") == commands


def test_a_remedy_can_be_pasted(monkeypatch):
    monkeypatch.setattr("sys.executable", "/a $b/python")
    monkeypatch.setattr(
        subprocess, "run", lambda *words, **options: subprocess.CompletedProcess(words, 1)
    )
    finding = preflight._cached("model c/d", *preflight._MODEL, "c/d")
    command = finding.remedy.partition(": ")[2]
    assert shlex.split(command)[:2] == ["/a $b/python", "-c"]
    assert 'snapshot_download("c/d")' in shlex.split(command)[2]


@pytest.mark.parametrize(
    ("python", "project", "said"),
    [
        ("/a b/python", "p", "/a b/python: found a path that Snakemake does not quote"),
        ("/a$b/python", "p", "expected a Python elsewhere (make VENV=PATH)"),
        ("/python", "p{x}", "p{x}: found braces"),
        ("/é/python3.11", "a $b's", "study: found null"),
    ],
)
def test_a_path_that_snakemake_cannot_take_is_told(monkeypatch, tmp_path, python, project, said):
    monkeypatch.setattr("sys.executable", python)
    with pytest.raises(SystemExit) as error:
        run.begin({}, [tmp_path, tmp_path / project], main=True)
    assert said in str(error.value) and "\n" not in str(error.value)
