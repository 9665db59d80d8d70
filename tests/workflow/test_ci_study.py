"""The CI study, run from end to end: its datasets, tables, figures and report."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from collapse import study as studies
from collapse.loop.batches import batches
from collapse.study import mixtures
from running import PROJECT, Workflow

CI = PROJECT / "config" / "studies" / "ci.yaml"
VARIABLES = {
    "gaussian": {
        "squared_error_of_mean",
        "trace_ratio",
        "log_determinant_ratio",
        "squared_step_of_mean",
    },
    "linear-regression": {"test_error"},
    "kernel-density": {"test_nll"},
    "discrete": {"entropy", "iterations_to_collapse"},
    "logistic-regression": {"test_log_loss", "separated"},
    "poisson-regression": {"test_deviance", "separated"},
    "language-model": {"test_cross_entropy", "distinct_2", "duplicate_rate"},
}
PARAMETERS = {
    "gaussian": {"dimension", "variance"},
    "mixture": {"dimension", "variance"},
    "gaussian-steps": {"dimension", "variance"},
    "linear-regression": {"dimension", "noise_variance"},
    "kernel-density": {"dataset", "bandwidth", "kernel"},
    "discrete": {"outcomes"},
    "logistic-regression": {"dimension", "dataset"},
    "poisson-regression": {"dimension"},
    "language-model": {"model", "temperature"},
}
NO_THEORY = {"language-model", "logistic-regression", "poisson-regression"}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    workflow = Workflow(tmp_path_factory.mktemp("ci"))
    workflow.study = CI
    printed = workflow.run()
    return SimpleNamespace(workflow=workflow, printed=printed, study=studies.load(CI))


@pytest.mark.parametrize("experiment", PARAMETERS)
def test_datasets_keep_the_contract(ran, experiment):
    plan = ran.study.experiments[experiment]
    with xr.open_dataset(ran.workflow.path(f"{experiment}/metrics.nc")) as dataset:
        expected = {"regime", "seed", "iteration", "samples"} | PARAMETERS[experiment]
        assert set(dataset.dims) == expected
        assert list(dataset["regime"].values) == ran.study.regimes_of(experiment)
        assert list(dataset["seed"].values) == plan.seed_list
        assert list(dataset["iteration"].values) == list(plan.evaluated)
        assert VARIABLES.get(experiment, set()) <= set(dataset.data_vars)
        for variable in dataset.variables.values():
            assert variable.attrs["long_name"] and variable.attrs["units"]
        resolved = json.loads(dataset.attrs["study"])
        assert resolved["experiments"][experiment]["iterations"] == plan.iterations
        assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?|unknown", dataset.attrs["git_commit"])
        assert dataset.attrs["numpy_version"] == np.__version__


def test_the_first_iteration_is_the_same_under_every_regime(ran):
    for experiment, names in VARIABLES.items():
        with xr.open_dataset(ran.workflow.path(f"{experiment}/metrics.nc")) as dataset:
            for name in names - {"iterations_to_collapse"}:
                first = dataset[name].sel(iteration=1)
                assert (first == first.isel(regime=0)).all(), name


def test_theory_is_checked_and_agrees(ran):
    verdicts = pd.read_csv(ran.workflow.path("tables/theory_verdicts.csv"))
    assert set(verdicts["experiment"]) == set(ran.study.experiments) - NO_THEORY
    # Chains by steps have two seeds, mixtures one point, kernel densities five seeds.
    for experiment, found in verdicts.groupby("experiment")["verdict"]:
        few = experiment in ("gaussian-steps", "mixture", "kernel-density")
        assert set(found) - ({"too few seeds"} if few else set()) <= {"agrees"}, experiment
    assert (verdicts["not_finite"] == 0).all()
    comparisons = pd.read_csv(ran.workflow.path("tables/theory_check.csv"))
    assert verdicts["comparisons"].sum() == len(comparisons)
    assert comparisons["z"].abs().max() > 1, "thousands of z-scores can't all be tiny"


def test_the_terminal_ends_with_the_summary(ran):
    table = ran.workflow.path("tables/summary.txt").read_text()
    assert table in ran.printed
    for experiment in ran.study.experiments:
        mixed = mixtures.among(ran.study, experiment)
        rows = ["8 mixtures"] if mixed else ran.study.regimes_of(experiment)
        for row in rows:
            assert re.search(rf"^{re.escape(experiment)} +{re.escape(row)} ", table, re.M)


def test_mixtures_are_tabulated_and_drawn_as_a_grid(ran):
    table = pd.read_csv(ran.workflow.path("tables/mixture-mixture.csv"))
    assert list(table["num_real"]) == [0, 4, 8]
    assert set(table["best_num_synthetic"]) <= {4, 8}
    assert table["beats_none"].iloc[0] == "-" and table["difference"].isna().tolist()[0]
    assert table["beats_none"].iloc[1:].isin(["yes", "no", "undecided"]).all()
    assert (table["amounts"] == 2).all() and (table["seeds"] == 20).all()
    assert [path.name for path in ran.workflow.path("tables").glob("mixture-*")] == [
        "mixture-mixture.csv"
    ]
    drawn = {path.stem for path in ran.workflow.path("figures/mixture").glob("*.svg")}
    kinds = ("heat-map", "by-real", "by-synthetic", "by-proportion")
    metrics = ("squared-error-of-mean", "trace-ratio", "log-determinant-ratio")
    assert drawn == {f"{metric}-{kind}" for metric in metrics for kind in kinds}


def test_figures_are_drawn_as_pictures_and_as_vectors(ran):
    for experiment in ran.study.experiments:
        drawn = [path.name for path in ran.workflow.path(f"figures/{experiment}").glob("[!.]*")]
        assert {name[-4:] for name in drawn} == {".png", ".svg"}
    pages = {path.name for path in ran.workflow.path("figures/kernel-density").glob("*.svg")}
    assert pages == {"test-nll__bandwidth=0.5.svg", "test-nll__bandwidth=scott.svg"}


def test_a_second_run_has_nothing_to_do(ran):
    assert "Nothing to be done" in ran.workflow.run()


def test_the_report_is_one_file_that_needs_no_network(ran):
    ran.workflow.run("--report", "results/report.html")
    report = ran.workflow.path("report.html").read_text()
    assert "trace-ratio" in report
    first_page = json.loads(re.search(r"var workflow_desc = (.*);$", report, re.MULTILINE)[1])
    rows = first_page.partition('<table class="verdicts">')[2].partition("</table>")[0]
    assert rows.count("<tr class=") == len(pd.read_csv(ran.workflow.path("tables/summary.csv")))
    shown = re.findall(r'<h2 id="(.*?)">.*?</h2><p>([^<]+)</p>.*?<svg', first_page, re.DOTALL)
    assert [name for name, meaning in shown if meaning] == list(ran.study.experiments)
    assert not re.search(r"""<(script|link|img)[^>]+(src|href)=["']https?:""", report)


def test_no_job_comes_near_two_gigabytes(ran):
    logs = list((ran.workflow.directory / "logs" / "chain").rglob("*.log"))
    peaks = [float(re.search(r"peak memory (\d+) MiB", log.read_text())[1]) for log in logs]
    at_once = [name for name, plan in ran.study.experiments.items() if not plan.by_iteration]
    assert len(peaks) == sum(len(list(ran.study.chains(name))) for name in at_once)
    assert max(peaks) < 1000


def test_the_plan_counts_the_jobs_of_a_dry_run(tmp_path):
    """All experiments of the papers, with fewer iterations, seeds, samples and mixtures."""
    workflow = Workflow(tmp_path)
    paper = PROJECT / "config" / "studies" / "paper.yaml"
    document = yaml.safe_load(paper.read_text())
    for name, published in studies.load(paper).experiments.items():
        if published.by_iteration:
            fewer = min(published.samples[0], 20_000)
            document["experiments"][name] |= {"iterations": 2, "seeds": 1, "samples": fewer}
    grid = document["regimes"]["pairs-mixture"]
    grid |= {amounts: grid[amounts][::4] for amounts in ("keep_real", "generate")}
    sweep = document["experiments"]["kernel-density-sweep"]["grid"]
    sweep["bandwidth"] = sweep["bandwidth"][::4]
    workflow.study.write_text(yaml.safe_dump(document, sort_keys=False))
    printed = workflow.run("plan")
    study = studies.load(workflow.study)
    for experiment in study.experiments:
        assert re.search(rf"^{experiment} +\d+ ", printed, re.M), experiment
    assert not workflow.path("").exists()
    planned = workflow.planned()
    at_once = [name for name, plan in study.experiments.items() if not plan.by_iteration]
    assert planned["chains"] == sum(len(batches(study, name)) for name in at_once)
    assert planned["gather"] == len(study.experiments)
    jobs = int(re.search(r"^total +(\d+) ", printed, re.M)[1])
    assert jobs == sum(planned.values()) - planned["all"]
