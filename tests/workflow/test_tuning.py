"""The workflow runs fine-tuning: on real pairs, and a grid of mixtures that share one pool."""

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from collapse.families.fine_tuning import FAMILY
from collapse.loop.plan import jobs
from collapse.study import Study
from running import PROJECT, Workflow

SETTINGS = {
    "pairs": 200,
    "test_pairs": 60,
    "base_stories": 100,
    "vocabulary": 400,
    "epochs": 3.0,
    "batch": 8,
    "learning_rate": 3e-3,
    "curve_points": 2,
}
CHAINS = {
    "family": "fine_tuning",
    "regimes": ["replace"],
    "iterations": 1,
    "seeds": 1,
    "samples": 80,
    "settings": {**SETTINGS, "judged": 40},
    "grid": {"base": ["stories"], "temperature": [1.0]},
}
TUNING, MIXED = "results/tuning/metrics.nc", "results/grid/metrics.nc"
GRID = {"keep_real": [0, 40], "memory": 1, "generate": [0, 60]}
MIXTURE = {
    **CHAINS,
    "regimes": ["mixture"],
    "iterations": 2,
    "keep_models": "none",
    "settings": {**SETTINGS, "judged": 0},
    "grid": {"base": ["stories"]},
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    workflow = Workflow(tmp_path_factory.mktemp("tuning"), "step")
    workflow.write_with({"mixture": GRID}, tuning=CHAINS, grid=MIXTURE)
    workflow.counted = workflow.planned(MIXED)
    workflow.job_holds = ""
    workflow.run()
    return workflow


def test_experiments_share_a_base(ran):
    """The mixtures have that of the chain; a third experiment, of other pairs, has it as well."""
    (base,) = ran.path("bases").iterdir()
    assert (base / "base.json").exists()
    other = {**CHAINS, "settings": {**SETTINGS, "pairs": 150}}
    both = {"tuning": CHAINS, "other": other}
    assert "base" not in ran.steps_planned("results/other/metrics.nc", **both)
    anew = {
        name: {**one, "settings": {**one["settings"], "base_stories": 150}}
        for name, one in both.items()
    }
    counted = ran.steps_planned(TUNING, "results/other/metrics.nc", **anew)
    assert (counted["base"], counted["prepare"]) == (1, 2)


def test_the_dataset_keeps_the_contract(ran):
    with xr.open_dataset(ran.path("tuning/metrics.nc")) as dataset:
        assert dict(dataset.sizes) == {
            "regime": 1, "base": 1, "temperature": 1, "samples": 1, "seed": 1, "iteration": 1
        }  # fmt: skip
        assert set(dataset.data_vars) == set(FAMILY.metrics)
        for name in ("test_cross_entropy", "response_cross_entropy", "acceptance_rate"):
            assert np.isfinite(dataset[name]).all()
        assert (dataset["test_cross_entropy"] > dataset["entropy_floor"]).all()


def test_figures_and_tables_are_there(ran):
    stems = {path.stem for path in ran.path("figures/tuning").glob("*.png")}
    assert {"cross-entropy", "response-cross-entropy", "distinct-2"} < stems
    samples = pd.read_csv(ran.path("tables/samples-tuning.csv"))
    assert samples["text"].str.match(r"(?s)user: .+\nassistant: .+").all()
    published = pd.read_csv(ran.path("tables/published.csv"))
    assert list(published[published["experiment"] == "tuning"]["iteration"]) == [1]


@pytest.mark.parametrize(
    ("changes", "run", "kept"),
    [
        # Iteration 1 has written its evaluated shard, which is all of its samples.
        ({"iterations": 2}, {"assemble": 1, "train": 1, "generate": 1, "evaluate": 1}, ["prepare"]),
        ({"seeds": 2}, {"train": 1}, ["prepare"]),
    ],
    ids=["iterations", "seeds"],
)
def test_changes_run_only_what_is_missing(ran, changes, run, kept):
    counted = ran.steps_planned(TUNING, tuning={**CHAINS, **changes})
    assert run.items() <= counted.items() and not counted.keys() & {*kept}


def test_other_numbers_of_evaluated_samples_are_evaluated_alone(ran):
    before = ran.study.read_text()
    ran.write(tuning={**CHAINS, "settings": {**SETTINGS, "judged": 30}})
    said = ran.run("explain", "--quiet", "all")
    ran.study.write_text(before)
    assert len(re.findall("1 steps, first evaluate of iteration 1", said)) == 1, said


def test_a_grid_of_mixtures_is_so_many_jobs_and_one_pool(ran):
    assert ran.counted == {
        "base": 1,
        "prepare": 1,
        "assemble": 1 + 4,
        "train_unkept": 1 + 4,
        "generate": 1,
        "evaluate": 1 + 4,
        "collect": 4,
        "gather": 1,
    }
    # Nothing needs samples of the last models.
    shards = list(ran.path("grid").rglob("*.parquet"))
    assert [path.name for path in shards if path.parent.name == "synthetic"] == ["0-80.parquet"]


def test_mixtures_train_on_nested_sets_of_so_much_of_either(ran):
    found = {}
    for path in ran.path("grid").rglob("iter2/training_set.json"):
        sources = json.loads(path.read_text())["sources"]
        counts = {source["kind"]: source["count"] for source in sources}
        record = json.loads((path.parent / "training.json").read_text())
        found[counts.get("real", 0), counts.get("synthetic", 0)] = record["pairs"]
    assert found == {
        (real, synthetic): real + synthetic for real in (0, 40) for synthetic in (0, 60)
    }
    assert not list(ran.path("grid").rglob("model/*"))  # keep_models: none


def test_trained_on_nothing_is_worse_than_on_anything(ran):
    with xr.open_dataset(ran.path("grid/metrics.nc")) as dataset:
        last = dataset["test_cross_entropy"].squeeze(drop=True).sel(iteration=2).to_series()
    nothing = next(name for name in last.index if "keep_real=0" in name and "generate=0" in name)
    assert last.idxmax() == nothing
    assert last.drop(nothing).max() < last[nothing] - 0.3


def test_its_figures_and_table_are_there(ran):
    stems = {path.stem for path in ran.path("figures/grid").glob("*.png")}
    assert any("heat" in stem or "mixture" in stem for stem in stems)
    table = pd.read_csv(ran.path("tables/mixture-grid.csv"))
    assert list(table["num_real"]) == [0, 40]
    assert not Path(ran.path("tables/samples-grid.csv")).exists()


def test_the_paper_study_lists_exactly_the_published_runs():
    """P2 has 12 x 19 x 3 = 684 models, here for one epoch and for equal steps, and the chains.

    That the jobs of a plan are those of Snakemake is tested in test_ci_study.py.
    """
    document = yaml.safe_load((PROJECT / "config" / "studies" / "paper.yaml").read_text())
    named = ("fine-tuning-mixture", "fine-tuning")
    document["experiments"] = {name: document["experiments"][name] for name in named}
    planned = jobs.of_study(Study.model_validate(document)).values()
    counted = Counter((job.experiment, step.rule) for job in planned for step in job.steps)
    cells, seeds = 12 * 19, 3
    chains = seeds * 3
    models, later = seeds * (1 + 2 * cells), seeds + chains * 19
    expected = {
        "fine-tuning-mixture": {
            "prepare": 1,
            "assemble": models,
            "train": models,
            # The 131,072 synthetic pairs are in files of 4096, which are also cut at n.
            "generate": seeds * (32 + 1),
            "evaluate": models,
            "collect": 2 * cells,
            "gather": 1,
        },
        "fine-tuning": {
            "prepare": 1,
            "assemble": later,
            "train": later,
            # Each next iteration needs 4 files, and the evaluation of the last one.
            "generate": seeds * 4 + chains * (18 * 4 + 1),
            "evaluate": later,
        },
    }
    for name, rules in expected.items():
        assert {rule: counted[name, rule] for rule in rules} == rules, name
