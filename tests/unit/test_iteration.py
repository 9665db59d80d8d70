"""A job of several steps, in this process or with a process for each step."""

from pathlib import Path

import pytest

from collapse.artifacts import identity
from collapse.loop import iteration, run
from collapse.loop.iteration import Machine, Place
from collapse.study import Study

POINT = "dimension=2__samples=10"
PLAN = {
    "family": "gaussian", "per_iteration": True, "regimes": ["accumulate"], "iterations": 2,
    "seeds": 1, "samples": 10, "keep_models": "none", "grid": {"dimension": [2]},
}  # fmt: skip


def blocks(monkeypatch, folder: Path, **options) -> dict[str, object]:
    """Run both blocks of a chain in a folder; return what its files hold, without times."""
    folder.mkdir()
    monkeypatch.chdir(folder)
    begun = run.Run(Study.model_validate({"experiments": {"loop": PLAN}}), {}, {})
    begun.write_snapshot()
    monkeypatch.setenv(run.SNAPSHOT, str(begun.snapshot))
    for regime, t in (("real", 1), ("accumulate", 2)):
        place = Place("loop", POINT, regime, 0, t, "chain")
        record = f"results/loop/{POINT}/{regime}/seed0/iter{t}/chain.json"
        iteration.run_block(record, place, Machine(), **options)
    return {
        str(path): identity.recorded(path)
        if path.name in ("training.json", "evaluation.json")
        else path.read_bytes()
        for path in Path("results").rglob("*")
        if path.is_file()
    }


def test_steps_in_processes_of_their_own_make_the_same_files(monkeypatch, tmp_path):
    """Those of large models run so. No checkpoint is left, as the study keeps none."""
    together = blocks(monkeypatch, tmp_path / "together")
    apart = blocks(monkeypatch, tmp_path / "apart", apart=True)
    assert together == apart and len(together) > 10
    assert not list(tmp_path.rglob("model"))
    assert len(list(tmp_path.glob("apart/logs/*/loop/**/*.log"))) == 8


NEXT = {"keep_real": True, "start": "previous"}
#: Two chains start from the same model of iteration 1, and a third one from none.
STARTS = {"one": NEXT, "two": {**NEXT, "memory": 1}, "fresh": {"keep_real": True}}


class Chains:
    """Chains that start from the model before, of a family whose fit takes no notice of it."""

    def __init__(self, monkeypatch, folder, holds, **changes):
        folder.mkdir(exist_ok=True)
        monkeypatch.chdir(folder)
        self.holds = holds
        plan = {**PLAN, "regimes": [*STARTS], "iterations": 3, **changes}
        document = {"experiments": {"loop": plan}, "regimes": STARTS}
        begun = run.Run(Study.model_validate(document), {}, {})
        begun.write_snapshot()
        monkeypatch.setenv(run.SNAPSHOT, str(begun.snapshot))
        self.blocks = iteration._blocks(Place("loop", POINT, "one", 0, 1, holds))
        self.iterations = plan["iterations"]

    def run(self, regime, **options):
        lasts = [1] if regime == "real" else range(2, self.iterations + 1)
        for last in lasts if self.holds == "iteration" else [lasts[-1]]:
            branch = self.blocks.files.branches.branch(POINT, regime, 0)
            place = Place("loop", POINT, regime, 0, last, self.holds)
            iteration.run_block(branch.block(last, self.holds), place, Machine(), **options)

    def planned(self, regime, last):
        branch = self.blocks.files.branches.branch(POINT, regime, 0)
        return [(step.rule, step.t) for step in self.blocks.undone(branch, last)]

    @property
    def record(self):
        return self.blocks.record(self.blocks.files.branches.branch(POINT, "real", 0), 1)


def models():
    return sorted("/".join(path.parts[-4:-1]) for path in Path().rglob("model"))


def metrics():
    return {str(path): path.read_bytes() for path in Path().rglob("metrics.json")}


@pytest.mark.parametrize("holds", ["iteration", "chain"])
def test_a_checkpoint_is_kept_until_no_chain_starts_from_it(monkeypatch, tmp_path, holds):
    chains = Chains(monkeypatch, tmp_path / "none", holds)
    chains.run("real")
    assert models() == ["real/seed0/iter1"]
    for regime in ("one", "fresh"):
        chains.run(regime)
        assert models() == ["real/seed0/iter1"]
    chains.run("two")
    assert models() == []
    # Nothing is left to do, and more iterations train again what nobody kept, each once.
    assert all(chains.planned(regime, 3) == [] for regime in STARTS)
    first = chains.record
    longer = Chains(monkeypatch, tmp_path / "none", holds, iterations=4)
    assert longer.record != first and longer.planned("real", 1) == [("train", 1)]
    for regime in ("real", "one", "two", "fresh"):
        longer.run(regime)
        assert models() == ["real/seed0/iter1"] * (regime in ("real", "one"))
    assert longer.planned("real", 1) == []
    found = metrics()
    whole = Chains(monkeypatch, tmp_path / "all", holds, iterations=4, keep_models="all")
    for regime in ("real", *STARTS):
        whole.run(regime)
    assert metrics() == found and len(models()) == 1 + 3 * 3


def test_a_job_that_was_stopped_goes_on_from_the_checkpoint_that_it_keeps(monkeypatch, tmp_path):
    chains = Chains(monkeypatch, tmp_path / "stopped", "chain", regimes=["one"])
    chains.run("real")
    perform = iteration.perform
    for rule, left in (("generate", {1, 2}), ("evaluate", {2})):

        def stopped(files, step, machine, rule=rule):
            if (step.rule, step.t) == (rule, 2):
                raise KeyboardInterrupt
            perform(files, step, machine)

        monkeypatch.setattr(iteration, "perform", stopped)
        with pytest.raises(KeyboardInterrupt):
            chains.run("one")
        assert {int(name[-1]) for name in models()} <= left
        assert chains.planned("one", 3)[0] == (rule, 2)
    monkeypatch.setattr(iteration, "perform", perform)
    chains.run("one")
    assert models() == []


@pytest.mark.parametrize("holds", ["iteration", "chain"])
def test_forced_jobs_find_the_checkpoints_that_they_start_from(monkeypatch, tmp_path, holds):
    chains = Chains(monkeypatch, tmp_path / "forced", holds)
    for _ in range(2):
        for regime in ("real", *STARTS):
            chains.run(regime, afresh=True)
        assert models() == ["real/seed0/iter1"]
    chains.run("two")
    assert models() == []


def test_a_step_that_fails_in_its_own_process_ends_the_job_with_its_line(
    monkeypatch, tmp_path, capfd
):
    blocks(monkeypatch, tmp_path / "loop", apart=True)
    for path in Path("results").rglob("accumulate/seed0/iter2/*.json"):
        path.unlink()
    (shard,) = Path("results").rglob("real/seed0/iter1/synthetic/0-10.parquet")
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    place = Place("loop", POINT, "accumulate", 0, 2, "chain")
    with pytest.raises(SystemExit) as stopped:
        iteration.run_block("chain.json", place, Machine(), apart=True)
    assert stopped.value.code == 1 and not Path("chain.json").exists()
    (line,) = [one for one in capfd.readouterr().err.splitlines() if one.startswith("error: ")]
    assert "0-10.parquet: damaged" in line
    (log,) = Path("logs/train").rglob("accumulate/seed0/iter2.log")
    assert log.read_text().strip() == line
