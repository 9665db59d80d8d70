"""Before a run: damaged results are set aside, but not by looking."""

import errno
import os
from types import SimpleNamespace

import netCDF4
import pytest

from collapse.artifacts import chain_file
from collapse.loop import run

CHAIN, DATASET = "results/e/p/replace.nc", "results/e/metrics.nc"


@pytest.fixture(autouse=True)
def results(at_home):
    """Truncated results, and a process that has not looked at them."""
    run._check.cache_clear()
    os.makedirs("results/e/p")
    for path in (CHAIN, DATASET):
        netCDF4.Dataset(path, "w").close()
        os.truncate(path, os.path.getsize(path) - 1)


def looked(**changes):
    """Ask for the chains, as Snakemake does; return the files that are there afterwards."""
    kind = {"executor_plugin": object(), "is_main_process": True, "touch": False, "dryrun": False}
    workflow = SimpleNamespace(**kind | changes)
    chains = run.undamaged(lambda wildcards: ["asked"], lambda wildcards: [CHAIN], workflow)
    assert chains(SimpleNamespace(experiment="e")) == ["asked"]
    return {path for path in (CHAIN, DATASET) if os.path.exists(path)}


def test_a_run_sets_damaged_results_aside(capsys):
    assert looked() == set()
    assert sorted(os.listdir("results/e/p")) == ["replace.nc.damaged"]
    assert f"{CHAIN} is damaged: it will be made again" in capsys.readouterr().err


@pytest.mark.parametrize(
    "changes",
    [
        {"dryrun": True},
        {"touch": True},
        {"executor_plugin": None},  # --dag, --summary, --report and the like
        {"is_main_process": False},
    ],
)
def test_looking_changes_nothing(capsys, changes):
    assert looked(**changes) == {CHAIN, DATASET}
    said = f"{DATASET} is damaged: a run will make it again\n{CHAIN} is damaged: a run will "
    assert ("dryrun" in changes) == (said in capsys.readouterr().err)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EAGAIN, errno.EIO, errno.ESTALE])
def test_what_cannot_be_read_now_is_one_line_and_stays(monkeypatch, capsys, number):
    def refuse(path, *_):
        raise OSError(number, os.strerror(number), path)

    monkeypatch.setattr(chain_file, "open", refuse, raising=False)
    assert looked() == {CHAIN, DATASET}
    for path, line in zip((DATASET, CHAIN), capsys.readouterr().err.splitlines(), strict=True):
        assert line.startswith(f"{path}: can't be read ({os.strerror(number)})")


def test_whole_results_stay():
    for path in (CHAIN, DATASET):
        netCDF4.Dataset(path, "w").close()
    assert looked() == {CHAIN, DATASET}


def test_logs_that_cannot_be_read_end_nothing(capsys):
    """The errors of jobs and the summary are for people to read, and decide nothing."""
    os.makedirs("logs/a.log")
    os.makedirs("results/tables/summary.txt")
    for name, content in (("b", b"error: \xff"), ("c", b"error: c"), ("d", b"1 s")):
        with open(f"logs/{name}.log", "wb") as log:
            log.write(content)
    run.print_summary(None, whole=True)
    run.print_errors(since=0)
    assert [line[:10] for line in capsys.readouterr().err.splitlines()] == [
        "logs/b.log",
        "logs/c.log",
    ]
