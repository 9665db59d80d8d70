"""The overview of a study says how far each chain is, from files alone."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from collapse import study as studies
from collapse.loop import chain
from collapse.loop.batches import chain_path
from collapse.loop.branches import Branches
from collapse.loop.inputs import Inputs
from collapse.loop.overview import overview
from collapse.progress import points_of
from running import PROJECT, python

STUDY = """\
experiments:
  closed: {family: gaussian, regimes: [replace], iterations: 3, seeds: 2, samples: [10, 20]}
  steps:
    family: gaussian
    per_iteration: true
    regimes: [replace, accumulate]
    iterations: 3
    seeds: 2
    samples: 10
"""
NOW = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)

pytestmark = pytest.mark.usefixtures("at_home")


@pytest.fixture
def study():
    Path("study.yaml").write_text(STUDY)
    return studies.load("study.yaml")


def make(path, content="{}"):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(content)


def point(**figures):
    start = {"time": "2026-01-01T12:00:00+00:00", "what": "training", "of": 80, "seconds_left": 65}
    return json.dumps({**start, **figures}) + "\n"


def test_nothing_is_done_at_first(study):
    assert overview(study, Path(), NOW).splitlines() == [
        "closed: 0 of 12 iterations",
        "  samples=10/replace  0 of 6",
        "  samples=20/replace  0 of 6",
        "steps: 0 of 12 iterations",
        "  samples=10/replace     0 of 6",
        "  samples=10/accumulate  0 of 6",
    ]


def test_it_counts_what_is_there_and_shows_what_is_under_way(study):
    specs = list(study.chains("closed"))
    chain.run(
        Path(chain_path(specs[0])),
        specification=specs[0].as_dict(),
        version=Inputs(study, {}, Path()).version_of(specs[0]),
        seeds=[0],
    )
    branch = Branches(study, "steps").branch("samples=10", "replace", 1)
    for t in (1, 2):  # iteration 1 is that of both regimes
        make(branch.metrics(t))
    log = branch.training(3).replace("results", "logs/train").replace("/training.json", ".log")
    make(points_of(log), point(step=10) + point(step=20, train_loss=2.5) + '{"step": 3')
    assert overview(study, Path(), NOW).splitlines() == [
        "closed: 3 of 12 iterations",
        "  samples=10/replace  3 of 6",
        "  samples=20/replace  0 of 6",
        "steps: 3 of 12 iterations",
        "  samples=10/replace     2 of 6",
        "    train seed 1, iteration 3: training, step 20 of 80, loss 2.5, 1:05 left (0:30 ago)",
        "  samples=10/accumulate  1 of 6",
    ]


def test_the_command_reads_the_study_as_snakemake_does(study):
    done = python(PROJECT / "scripts" / "progress.py", "--config", "study=study.yaml")
    assert done.stdout.startswith("closed: 0 of 12 iterations\n"), done.stderr
    failed = python(PROJECT / "scripts" / "progress.py", "--config", "study=other.yaml")
    assert failed.returncode == 1 and failed.stderr.startswith("error: ")
    assert failed.stderr.count("\n") == 1
