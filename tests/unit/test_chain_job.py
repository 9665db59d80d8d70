"""A chain's job: what is there is used again, what is damaged or outdated is not."""

import fcntl
from pathlib import Path

import numpy as np
import pytest

from collapse import job
from collapse.artifacts import chain_file
from collapse.artifacts.files import UnreadableFileError
from collapse.loop import chain, closed_form
from collapse.loop.batches import batches
from collapse.regimes import NAMED
from collapse.study import Study
from collapse.study.chain_spec import ChainSpec


@pytest.fixture
def spec():
    regime = NAMED["accumulate"]
    return ChainSpec("e", "p", "accumulate", regime, "gaussian", {"dimension": 2}, 10, 3, (1, 2, 3))


@pytest.fixture
def simulated(monkeypatch):
    """Seeds that were really run."""
    ran = []

    def simulate(spec, seeds):
        ran.extend(seeds)
        return real(spec, seeds)

    real = closed_form.run_chain
    monkeypatch.setattr(closed_form, "run_chain", simulate)
    return ran


def run(path, spec, seeds, version=1, **options):
    chain.run(path, specification=spec.as_dict(), version=version, seeds=seeds, **options)
    return chain_file.read_chain(path)


def test_short_chains_of_a_point_are_one_job_and_longer_ones_one_each():
    plan = {"family": "gaussian", "regimes": ["replace", "accumulate"], "samples": [10, 20]}
    experiments = {
        name: {**plan, "grid": {"dimension": 2}, "iterations": iterations, "seeds": seeds}
        for name, iterations, seeds in (("short", 3, 2), ("long", 10_000, 1000))
    }
    study = Study.model_validate({"experiments": experiments})
    found = {
        name: {record.partition("__")[2]: len(chains) for record, chains in each.items()}
        for name in experiments
        for each in [batches(study, name)]
    }
    assert found == {
        "short": {f"samples={n}/chains.json": 2 for n in (10, 20)},
        "long": {f"samples={n}/{each}/chain.json": 1 for n in (10, 20) for each in plan["regimes"]},
    }


def test_if_a_chain_fails_those_after_it_run(at_home, spec, simulated):
    def described(name, seeds):
        given = {"specification": spec.as_dict(), "version": 1, "seeds": seeds}
        return {"path": f"results/e/p/{name}.nc", **given}

    Path("results/e/p").mkdir(parents=True)
    chain.run_all([described("done", [0]), described("locked", [0])])
    done = Path("results/e/p/done.nc").stat().st_mtime_ns
    with open("results/e/p/locked.nc") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(SystemExit, match=r"error: .*locked\.nc: can't be read"):
            chain.run_all([described(name, [0, 1]) for name in ("locked", "new")])
        chain.run_all([described("done", [0])])
    assert simulated == [0, 0, 0, 1]
    assert chain_file.read_chain("results/e/p/new.nc")[1] == [0, 1]
    assert Path("results/e/p/done.nc").stat().st_mtime_ns == done
    assert "can't be read" in Path("logs/chain/e/p/locked.log").read_text()
    assert "peak memory" in Path("logs/chain/e/p/new.log").read_text()


def test_only_new_seeds_are_run_and_all_are_as_if_run_at_once(tmp_path, spec, simulated):
    run(tmp_path / "grown.nc", spec, [0, 5])
    assert simulated == [0, 5]
    grown, seeds, _ = run(tmp_path / "grown.nc", spec, [7, 0, 5])
    assert simulated == [0, 5, 7]
    assert seeds == [0, 5, 7]
    at_once, _, _ = run(tmp_path / "at once.nc", spec, seeds)
    for name, values in at_once.items():
        np.testing.assert_array_equal(grown[name], values)


def test_seeds_that_are_no_longer_asked_for_are_kept(tmp_path, spec, simulated):
    path = tmp_path / "chain.nc"
    before, _, identity = run(path, spec, [0, 1, 2])
    after, seeds, _ = run(path, spec, [2, 0])
    assert seeds == chain_file.seeds_of(path, identity) == simulated == [0, 1, 2]
    assert chain_file.seeds_of(path, {**identity, "version": 2}) == []
    for name, values in before.items():
        np.testing.assert_array_equal(after[name], values)


def test_a_forced_chain_runs_all_its_seeds_again(tmp_path, spec, simulated):
    path = tmp_path / "chain.nc"
    before, seeds, identity = run(path, spec, [0, 1])
    wrong = {name: values + 1 for name, values in before.items()}
    chain_file.write_chain(path, wrong, seeds=seeds, iterations=[1, 2, 3], identity=identity)
    after, _, _ = run(path, spec, [1], afresh=True)
    assert simulated == [0, 1, 0, 1]
    for name, values in before.items():
        np.testing.assert_array_equal(after[name], values)


def test_a_damaged_file_is_run_again(tmp_path, spec, simulated):
    path = tmp_path / "chain.nc"
    before, _, _ = run(path, spec, [0, 1])
    path.write_bytes(path.read_bytes()[:1000])
    after, _, _ = run(path, spec, [0, 1])
    assert simulated == [0, 1, 0, 1]
    np.testing.assert_array_equal(before["trace_ratio"], after["trace_ratio"])


@pytest.mark.parametrize("change", ["version", "samples", "regime"])
def test_what_other_code_or_another_chain_wrote_is_run_again(tmp_path, spec, simulated, change):
    path = tmp_path / "chain.nc"
    run(path, spec, [0])
    changed = {
        "samples": {"samples": 11},
        "regime": {"regime": NAMED["replace"]},
        "version": {},
    }[change]
    other = ChainSpec(**{**spec.__dict__, **changed})
    run(path, other, [0], version=2 if change == "version" else 1)
    assert simulated == [0, 0]


def test_a_job_says_how_long_it_took_and_how_much_memory(tmp_path):
    with job.guarded(tmp_path / "log"):
        pass
    assert "peak memory" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("fails", [False, True])
def test_logs_and_benchmarks_that_cannot_be_written_decide_nothing(tmp_path, capsys, fails):
    """A directory in their place stops root too, whom permissions don't."""
    for name in ("a.log", "a.benchmark.tsv"):
        (tmp_path / name).mkdir()
    if fails:
        with (
            pytest.raises(SystemExit, match="the job's own"),
            job.guarded(tmp_path / "a.log"),
        ):
            raise OSError("the job's own")
    else:
        with job.guarded(tmp_path / "a.log"):
            pass
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 - fails and all("can't be written" in line for line in said)


def test_the_benchmark_has_the_columns_of_those_of_snakemake(tmp_path):
    with job.guarded(tmp_path / "a.b.log"):
        pass
    names, values = (tmp_path / "a.b.benchmark.tsv").read_text().splitlines()
    assert names.split("\t") == ["s", "max_rss", "cpu_time"]
    assert all(float(value) > 0 for value in values.split("\t"))


def test_a_file_that_cannot_be_read_now_is_neither_used_nor_replaced(tmp_path, spec, simulated):
    path = tmp_path / "chain.nc"
    run(path, spec, [0])
    content = path.read_bytes()
    with open(path) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(UnreadableFileError):
            run(path, spec, [0, 1])
    assert path.read_bytes() == content
    assert simulated == [0]


def test_a_bug_keeps_its_traceback(tmp_path):
    with pytest.raises(ZeroDivisionError), job.guarded(tmp_path / "log"):
        1 / 0  # noqa: B018
