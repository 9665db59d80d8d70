"""The workflow runs language models, from stories to figures, and recovers from faults."""

import importlib.util
import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as parquet
import pytest
import xarray as xr

import collapse
from collapse.families.language_model import FAMILY
from interrupting import interrupted, trains
from running import Workflow

EXPERIMENT = {
    "family": "language_model",
    "regimes": ["replace", "accumulate"],
    "iterations": 2,
    "seeds": 1,
    "samples": 120,
    "settings": {
        "documents": 200,
        "test_documents": 60,
        "vocabulary": 400,
        "epochs": 2.0,
        "truncated": "keep",  # models with little training seldom generate EOS
        "curve_points": 3,
    },
    "grid": {"temperature": [1.0]},
}
DATASET = "results/lm/metrics.nc"


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    return Workflow.ran(tmp_path_factory.mktemp("language-model"), lm=EXPERIMENT)


def test_the_dataset_keeps_the_contract(ran):
    with xr.open_dataset(ran.path("lm/metrics.nc")) as dataset:
        assert dict(dataset.sizes) == {
            "regime": 2, "model": 1, "temperature": 1, "samples": 1, "seed": 1, "iteration": 2
        }  # fmt: skip
        assert list(dataset["regime"].values) == ["replace", "accumulate"]
        assert dataset["model"].item() == "tiny" and dataset["temperature"].item() == 1.0
        assert set(dataset.data_vars) == set(FAMILY.metrics)
        for name in ("test_cross_entropy", "distinct_2", "duplicate_rate"):
            assert np.isfinite(dataset[name]).all()
            assert len(np.unique(dataset[name].sel(iteration=2))) == 2 or name == "duplicate_rate"
        assert (dataset["test_cross_entropy"] > dataset["entropy_floor"]).all()
        assert (dataset["test_cross_entropy"] < np.log(400)).all()
        plan = json.loads(dataset.attrs["study"])["experiments"]["lm"]
        assert plan["settings"]["vocabulary"] == 400 and plan["settings"]["batch"] == 4


def test_a_step_is_a_file_and_iteration_1_is_shared(ran):
    folders = {path.parent for path in ran.path("lm").rglob("training_set.json")}
    names = {str(folder.relative_to(ran.path("lm"))) for folder in folders}
    point = "temperature=1.0__samples=120"
    assert names == {
        "samples=120/real/seed0/iter1",
        f"{point}/replace/seed0/iter2",
        f"{point}/accumulate/seed0/iter2",
    }
    sizes = {}
    for folder in folders:
        record = json.loads((folder / "training.json").read_text())
        sizes[folder.parts[-3]] = record["documents"]
        assert len(record["curve"]) == 3
        assert (folder / "model" / "model.safetensors").exists()
        assert not (folder / ".training").exists()
    assert sizes == {"real": 120, "replace": 120, "accumulate": 240}
    assert not list(ran.path("").rglob("*.partial"))


def test_models_and_samples_are_loaded_without_the_workflow(ran):
    place = {"iteration": 2, "regime": "accumulate", "point": {"temperature": 1.0}}
    model = collapse.load_model(ran.directory / "results", "lm", **place)
    assert model.config.vocab_size == 400
    assert (Path(model.name_or_path) / "tokenizer.json").is_file()
    texts = collapse.load_samples(ran.directory / "results", "lm", **place, columns=["text"])
    assert len(texts) == 120 and texts["text"].str.len().min() > 0


def test_figures_and_tables_are_there(ran):
    figures = {path.name for path in ran.path("figures/lm").glob("[!.]*")}
    stems = {name.rpartition(".")[0] for name in figures}
    assert figures == {f"{stem}.{kind}" for stem in stems for kind in ("png", "svg")}
    assert {"cross-entropy", "distinct-2", "duplicate-rate", "self-overlap"} < stems
    assert "learning-curves__temperature=1.0__samples=120" in stems
    samples = pd.read_csv(ran.path("tables/samples-lm.csv"))
    assert samples.groupby(["regime", "iteration"]).size().to_dict() == {
        (regime, t): 3 for regime in ("replace", "accumulate") for t in (1, 2)
    }
    assert samples["text"].str.len().min() > 0
    published = pd.read_csv(ran.path("tables/published.csv"))
    assert list(published["iteration"]) == [1, 2, 1]  # the later runs have replace at t = 2
    assert published["ours"].notna().all() and published["published"].isna().all()


def test_the_terminal_shows_the_summary_and_no_noise(ran):
    assert ran.path("tables/summary.txt").read_text() in ran.printed
    for noise in ("it/s]", "LOAD REPORT", "Warning", "Traceback", "[transformers]"):
        assert noise not in ran.printed


CHANGES = {
    # Iteration 1 is sampled from and evaluated at the new temperature, but not trained again.
    "temperature": (
        {"grid": {"temperature": [1.0, 0.3]}},
        {"assemble": 2, "train": 2, "generate": 3, "evaluate": 3, "collect": 2, "gather": 1},
    ),
    # The data is prepared once for all models.
    "model": (
        {"grid": {"temperature": [1.0], "model": ["tiny", "gpt2-9m"]}},
        # The names of points now contain the model, so all points are new.
        {"assemble": 6, "train": 6, "generate": 6, "evaluate": 6, "collect": 4, "gather": 1},
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_study_runs_only_what_is_missing(ran, change):
    edit, expected = CHANGES[change]
    assert ran.steps_planned(DATASET, lm={**EXPERIMENT, **edit}) == expected


# Interruptions.


def test_interrupted_trainings_end_in_the_same_model(ran, tmp_path):
    """The run gets SIGTERM in the middle of training, then kill -9 there."""
    torch = pytest.importorskip("torch")
    workflow = copied(ran, tmp_path / "copy", EXPERIMENT)
    iteration = "results/lm/samples=120/real/seed0/iter1"
    target, folder = f"{iteration}/training.json", workflow.directory / iteration
    state = folder / ".training" / "training.pt"
    kept = [folder / "model/model.safetensors", folder / "model/config.json"]
    reference = [path.read_bytes() for path in kept]
    curve = json.loads((folder / "training.json").read_text())["curve"]
    shutil.rmtree(folder / "model")
    (folder / "training.json").unlink()

    printed = interrupted(workflow, target, ".train.py", signal.SIGTERM, trains)
    assert "training stopped by SIGTERM after step" in printed
    assert "Traceback" not in printed
    assert not (folder / "model").exists()
    content = torch.load(state, weights_only=True)
    steps = curve[-1]["step"]
    assert 0 < content["step"] < steps
    # A mark in the state shows later that the training continued from it.
    content["curve"].insert(0, (0, 9.0, None, 0.0))
    torch.save(content, state)

    interrupted(workflow, target, ".train.py", signal.SIGKILL, trains)
    assert state.exists() and not (folder / "model").exists()

    printed = workflow.run(target)
    assert "starting afresh" not in printed
    assert [path.read_bytes() for path in kept] == reference
    found = json.loads((folder / "training.json").read_text())["curve"]
    assert found[0]["train_loss"] == 9.0 and found[1:] == curve
    assert not (folder / ".training").exists()
    assert not list(tmp_path.rglob("*.partial"))


def copied(ran, directory, experiment):
    """Return a copy of a run, of which each job holds a step, with another study."""
    workflow = Workflow(directory, "step")
    shutil.copytree(ran.directory, workflow.directory)
    workflow.write(lm=experiment)
    return workflow


# The other backend.


def test_vllm_goes_through_the_rules(ran, tmp_path):
    """With prompts, by a model that is there; that all of a run's steps follow is tested above."""
    if importlib.util.find_spec("vllm") is None:
        pytest.skip("vLLM is not installed")
    prompts = {"start": "prompt", "prompt_tokens": 6, "keep_prompt": True}
    settings = {**EXPERIMENT["settings"], "backend": "vllm", **prompts}
    workflow = copied(ran, tmp_path / "copy", {**EXPERIMENT, "settings": settings})
    samples = "results/lm/temperature=1.0__samples=120/real/seed0/iter1/synthetic/0-120"
    record, shard = (workflow.directory / f"{samples}.{kind}" for kind in ("json", "parquet"))
    assert json.loads(record.read_text())["details"]["backend"] == "transformers"
    assert workflow.planned(f"{samples}.parquet") == {"generate": 1}
    workflow.run(f"{samples}.parquet")
    assert json.loads(record.read_text())["details"]["backend"] == "vllm"
    table = parquet.read_table(shard)
    assert len({*table["text"].to_pylist()}) == len(table) == 120
    real = parquet.read_table(workflow.path("lm/data") / "any" / "train.parquet")["tokens"]
    beginnings = {tuple(tokens[:6]) for tokens in real.to_pylist()}
    assert {tuple(tokens[:6]) for tokens in table["tokens"].to_pylist()} <= beginnings


# Bad input.


def test_bad_input_is_told_in_one_line_and_nothing_is_lost(tmp_path):
    workflow = Workflow(tmp_path, "step")
    (tmp_path / "empty.txt").write_text("")
    few = [f"{number} cats sat by the door of the barn" for number in range(12)]
    (tmp_path / "few.txt").write_text("\n\n".join(few))
    own = {"data": str(tmp_path / "few.txt"), "vocabulary": 261, "test_documents": 2}
    wrong = {
        "empty": ({"data": str(tmp_path / "empty.txt")}, "empty.txt: no training documents"),
        "vocabulary": (
            {**own, "vocabulary": 5000},
            "a vocabulary of 5,000, but the training documents allow ",
        ),
        "long": (
            {**own, "context": 16},
            "10 of 10 documents are longer than the context of 16 tokens",
        ),
        "hub": (
            {"data": "hub:nobody/nothing-of-the-kind"},
            "hub:nobody/nothing-of-the-kind: neither on the Hub nor in its cache",
        ),
        "few": (own, "found 10 real training samples, expected at least the 120"),
    }
    plans = {name: {**EXPERIMENT, "settings": settings} for name, (settings, _) in wrong.items()}
    workflow.write(**plans, sound={**EXPERIMENT, "settings": own, "samples": 10})
    targets = [
        f"results/{name}/samples={plan['samples']}/real/seed0/iter1/training_set.json"
        for name, plan in {**plans, "sound": {"samples": 10}}.items()
    ]
    printed = workflow.run(*targets, fails=True)
    for name, (_, said) in wrong.items():
        (log,) = (tmp_path / "logs" / "prepare" / name).rglob("*.log")
        line = log.read_text().strip()
        assert line.startswith("error: ") and "\n" not in line and said in line, line
        assert line in printed
        assert not workflow.path(f"{name}/data/any").exists()
    assert (tmp_path / targets[-1]).exists(), "one experiment fell with the others"
    assert not list(tmp_path.rglob("*.partial"))
    assert "Nothing to be done" in workflow.run(targets[-1])
