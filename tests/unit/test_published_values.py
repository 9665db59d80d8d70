"""Published values of a study: their file and its mistakes, statistics of ours, and verdicts."""

import csv
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import gathering
from collapse import study as studies
from collapse.families import gaussian
from collapse.loop.inputs import Inputs
from collapse.loop.plan import jobs
from collapse.regimes import NAMED
from collapse.results import gather, published, published_statistics
from collapse.study.published_values import COLUMNS, PublishedValue

PUBLISHED = Path(__file__).parents[2] / "config" / "studies" / "published"
STUDY = """\
published: values.csv
experiments:
  loop:
    family: gaussian
    regimes: [replace, accumulate]
    iterations: 4
    evaluations: 2
    seeds: 3
    samples: [10, 20]
    grid: {dimension: [1, 2], variance: [1.0], estimator: [unbiased]}
  drift:
    family: discrete
    regimes: [replace]
    iterations: 2
    seeds: 3
    samples: 10
"""
ROW = {
    "experiment": "loop",
    "regime": "replace",
    "point": "samples=10;dimension=2",
    "iteration": "4",
    "metric": "trace_ratio",
    "statistic": "mean",
    "value": "0.5",
    "tolerance": "",
    "repetitions": "",
    "read": "text",
    "source": "Table 1",
}
OF_CHAIN = {
    "experiment": "drift",
    "point": "",
    "iteration": "",
    "metric": "iterations_to_collapse",
}


def loaded(folder, *rows, study=STUDY):
    """Load the study with rows of which some cells differ from those of `ROW`."""
    (folder / "study.yaml").write_text(study)
    with (folder / "values.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows([ROW | row for row in rows])
    return studies.load(folder / "study.yaml")


def refused(folder, *rows, **options):
    with pytest.raises(studies.StudyError) as error:
        loaded(folder, *rows, **options)
    (line,) = str(error.value).splitlines()
    return line.removeprefix(f"{folder}/")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"experiment": "lop"}, "experiment: found lop, expected one of loop, drift (did you mean"),
        ({"regime": "replac"}, "regime: found replac, expected one of replace, accumulate (did"),
        ({"point": "sample=10"}, "point: found sample, expected one of dimension, variance, "),
        ({"point": "samples=30"}, "point: found samples=30, expected values of dimension=1__"),
        ({"iteration": "3"}, "iteration: found 3, expected iterations that are evaluated: 1, 4"),
        ({"iteration": "first"}, "iteration: found first, expected an iteration, two as 300:1200"),
        ({"iteration": ""}, "iteration: found '', expected one iteration for this metric"),
        ({"iteration": "1:4"}, "iteration: found '1:4', expected one iteration"),
        ({"statistic": "slope"}, "iteration: found '4', expected two iterations, as 300:1200"),
        ({**OF_CHAIN, "iteration": "2"}, "iteration: found '2', expected nothing for this metric"),
        ({**OF_CHAIN, "statistic": "ratio"}, "statistic: found ratio, expected one of a single nu"),
        ({"metric": "trace"}, "metric: found trace, expected one of squared_error_of_mean"),
        ({"metric": "score_of_kept"}, "metric: found score_of_kept, expected one of"),
        ({"statistic": "mode"}, "statistic: found mode, expected one of mean, median, positive"),
        ({"value": "0,5"}, "value: found 0,5, expected a finite number"),
        ({"value": "nan"}, "value: found nan, expected a finite number"),
        ({"value": ""}, "value: found '', expected a finite number"),
        ({"tolerance": "-1"}, "tolerance: found '-1', expected a number that is not negative"),
        ({"repetitions": "0"}, "repetitions: found '0', expected a number of runs, or nothing"),
        ({"read": "memory"}, "read: found memory, expected one of text, code, plot, equation"),
        ({"source": " "}, "source: found '', expected where the value stands"),
        (
            {"statistic": "ratio", "iteration": "4:1"},
            "iteration: found '4:1', expected the earlier",
        ),
        (
            {"statistic": "slope", "iteration": "4:4"},
            "iteration: found '4:4', expected the earlier",
        ),
        ({"statistic": "positive", "value": "97"}, "value: found 97.0, expected a share of the s"),
        ({}, "row: found line 2 again, expected it once"),
    ],
)
def test_a_mistake_in_a_row_is_told_in_one_line(tmp_path, row, said):
    assert refused(tmp_path, {}, row).startswith(f"values.csv:3: {said}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "values.csv:1: header: found no column experiment, expected each of experiment,"),
        (
            f"{','.join(COLUMNS)},value",
            "values.csv:1: header: found 2 columns value, expected each",
        ),
        (f"{','.join(COLUMNS)}\n\n", "values.csv: found no values, expected a row for each publi"),
        ("experimnt,regime", "values.csv:1: header: found experimnt, expected one of experiment,"),
        (f"{','.join(COLUMNS)}\nloop,replace", "values.csv:2: row: found 2 cells, expected 11"),
        (f"{','.join(COLUMNS)}\n{',' * 11}", "values.csv:2: row: found 12 cells, expected 11"),
        (f'{",".join(COLUMNS)}\n"loop', "values.csv: found nothing readable (unexpected end"),
        (None, "values.csv: found nothing readable (No such file or directory), expected"),
    ],
)
def test_a_mistake_in_the_file_is_told_in_one_line(tmp_path, text, said):
    (tmp_path / "study.yaml").write_text(STUDY)
    if text is not None:
        (tmp_path / "values.csv").write_text(text)
    with pytest.raises(studies.StudyError) as error:
        studies.load(tmp_path / "study.yaml")
    assert str(error.value).removeprefix(f"{tmp_path}/").startswith(said)


def test_the_mark_that_spreadsheets_write_is_read_over(tmp_path):
    loaded(tmp_path, {})
    path = tmp_path / "values.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert studies.load(tmp_path / "study.yaml")


@pytest.mark.parametrize("written", ["3", "[]", "{a: 1}"])
def test_a_study_names_a_file(tmp_path, written):
    said = refused(tmp_path, study=STUDY.replace("values.csv", written))
    assert said.startswith("study.yaml:1: published: found ") and "the path of a file" in said


def values(iterations=(1, 4), seeds=400, seed=0):
    """Values of seeds that fall as a power of t, with noise."""
    t = np.array(iterations, dtype=float)
    noise = np.random.default_rng(seed).normal(size=(seeds, len(t)))
    return t**-0.5 * (1 + 0.1 * noise)


@pytest.mark.parametrize(
    ("statistic", "columns", "expected"),
    [
        ("mean", [1], 0.5),
        ("lower", [1], 0.5),
        ("median", [1], 0.5),
        ("positive", [1], 1.0),
        ("ratio", [0, 1], 0.5),
        ("slope", [0, 1], -0.5),
    ],
)
def test_statistics_and_their_errors(statistic, columns, expected):
    """The error that is told is the spread of the statistic over many sets of seeds."""
    found = [
        published_statistics.ours(statistic, values(seed=seed)[:, columns], [1, 4])
        for seed in range(200)
    ]
    means, deviations = np.array(found).T
    error = means.std() if statistic != "positive" else 0.0
    assert means.mean() == pytest.approx(expected, abs=4 * error / np.sqrt(200) + 1e-3)
    assert deviations.mean() / np.sqrt(400) == pytest.approx(error, rel=0.2)


def test_the_share_of_positive_seeds():
    found = published_statistics.ours("positive", np.array([[0.0], [0.3], [0.0], [2.0]]), [1])
    assert found.value == 0.5 and found.deviation == pytest.approx(np.sqrt(1 / 3))


@pytest.mark.parametrize(
    ("row", "ours", "expected"),
    [
        ({}, 0.5 + 0.39, "agrees"),  # four errors of 0.1
        ({}, 0.5 - 0.41, "differs"),
        ({"tolerance": 0.05}, 0.5 + 0.44, "agrees"),
        ({"repetitions": 100}, 0.5 + 0.56, "agrees"),  # as many as ours
        ({"repetitions": 100}, 0.5 + 0.57, "differs"),
        ({"statistic": "lower"}, 9.0, "agrees"),
        ({"statistic": "lower"}, 0.09, "differs"),
        ({"statistic": "upper"}, -9.0, "agrees"),
        ({"statistic": "upper"}, 0.91, "differs"),
        ({}, np.nan, "differs"),
    ],
)
def test_verdicts(row, ours, expected):
    value = PublishedValue.model_validate(ROW | {"tolerance": 0.0, "repetitions": None} | row)
    found = published_statistics.Ours(ours, 1.0)
    assert published_statistics.verdict(value, found, seeds=100) == expected


@pytest.mark.parametrize("deviation", [1.25, np.inf])
def test_seeds_may_be_too_few(deviation):
    """Four errors of 0.125 are as large as the published 0.5."""
    value = PublishedValue.model_validate(ROW | {"tolerance": 0.0, "repetitions": None})
    found = published_statistics.Ours(0.5, deviation)
    assert published_statistics.verdict(value, found, seeds=100) == "too few seeds"
    if np.isfinite(deviation):
        assert published_statistics.verdict(value, found, seeds=101) == "agrees"


def test_a_single_seed_has_to_be_within_the_tolerance():
    value = PublishedValue.model_validate(ROW | {"tolerance": 0.1, "repetitions": None})
    for ours, expected in ((0.59, "agrees"), (0.61, "differs")):
        found = published_statistics.ours("mean", np.array([[ours]]), [4])
        assert published_statistics.verdict(value, found, seeds=1) == expected


def test_the_table_has_a_row_for_each_chain_that_a_value_concerns(tmp_path):
    """From the file to the table, through what a job gets."""
    rows = [
        {"value": "7", "read": "plot"},
        {"regime": "", "point": "dimension=2", "value": "7.5", "tolerance": "0.6"},
        {"regime": "", "point": "estimator=unbiased;dimension=1", "value": "100"},
        {"statistic": "slope", "iteration": "1:4", "value": "0"},
    ]
    plan = loaded(tmp_path, *rows)
    assert plan.compared == ["loop"]
    inputs = Inputs(plan, {"neural": "", "other": ""}, tmp_path)
    assert inputs.published_metrics == ["results/loop/metrics.nc"]
    assert "published" not in inputs.study_of_results
    assert "published" in jobs.of_study(plan)
    of_figures = inputs.study_of_figures(SimpleNamespace(experiment="loop"))
    assert [value["statistic"] for value in of_figures["published"]] == 3 * ["mean"]
    metrics = tmp_path / "loop" / "metrics.nc"
    metrics.parent.mkdir()
    gather.write_dataset(metrics, gathering.filled(plan, "trace_ratio", value=7.0))
    published.write([str(metrics)], study=inputs.study_of_published, table=tmp_path / "table.csv")
    table = pd.read_csv(tmp_path / "table.csv", dtype={"iteration": str})
    assert list(table.columns) == published.COLUMNS
    assert len(table) == 1 + 4 + 4 + 1 and (table["verdict"] == "agrees").sum() == 1 + 4 + 1
    exact = table[table["read"] == "plot"].iloc[0]
    assert exact["point"].startswith("dimension=2__") and exact["point"].endswith("samples=10")
    assert (exact["ours"], exact["published"], exact["difference"]) == (7, 7, 0)
    # All seeds have the same value, but theory knows how far apart they are.
    theory = gaussian.FAMILY.expectations(
        gaussian.Parameters(dimension=2, estimator="unbiased"), NAMED["replace"], 10, 4
    )["trace_ratio"]
    assert exact["standard_error"] == pytest.approx(theory.deviation[3] / np.sqrt(3))
    wrong = table[table["verdict"] == "differs"]
    assert set(wrong["published"]) == {100} and wrong["point"].str.startswith("dimension=1").all()
    assert (table[table["statistic"] == "slope"]["iteration"] == "1:4").all()


def test_values_of_the_study_take_the_place_of_those_of_the_family(tmp_path):
    diabetes = """\
published: values.csv
experiments:
  loop:
    family: logistic_regression
    regimes: [replace]
    iterations: 50
    evaluations: 2
    seeds: 2
    samples: 309
    grid: {dataset: diabetes}
"""
    own = {"point": "", "iteration": "1", "metric": "test_log_loss", "value": "0.43"}
    plan = loaded(tmp_path, own, study=diabetes)
    dataset = {"loop": gathering.filled(plan, "test_log_loss", value=0.43)}
    table = published.compare(plan.chains("loop"), dataset, plan.published_values)
    assert list(table["iteration"]) == [50, "1"]
    assert list(table["published"]) == [8.0997, 0.43]
    assert table["verdict"].isna()[0] and table["verdict"][1] == "agrees"


@pytest.mark.parametrize("path", sorted(PUBLISHED.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_published_study_loads_and_is_planned(path):
    """Its values are all those of chains that it runs, or it says nothing of values."""
    plan = studies.load(path)
    values = path.with_suffix(".csv")
    assert (plan.published is not None) == values.exists()
    if values.exists():
        with values.open() as file:
            assert len(plan.published_values) == sum(1 for _ in csv.reader(file)) - 1 > 0
    seconds = sum(step.work.core for job in jobs.of_study(plan).values() for step in job.steps)
    assert seconds < 600
