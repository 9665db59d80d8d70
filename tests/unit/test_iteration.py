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
