"""Our results beside published ones: which values belong together, and how far apart they are."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

import gathering
from collapse.families import language_model
from collapse.families.language_model.published import FIFTH, TABLE_2, WHOLE
from collapse.results import gather, published

#: P1 Table 2: t = 1, accumulate and replace at 4, replace at 10, replace-multiple at 4.
ROWS = {
    ("gpt2-9m", 1.0, WHOLE, 1.0): (1.82, 1.74, 2.39, 2.91, 2.18),
    ("gpt2-9m", 0.3, WHOLE, 1.0): (1.82, 1.75, 5.82, 9.85, None),
    ("gpt2-9m", 1.0, FIFTH, 1.0): (2.56, 2.28, 3.21, 3.72, 2.91),
    ("gpt2-9m", 1.0, FIFTH, 3.0): (1.99, 1.87, 2.62, None, None),
    ("llama2-12m", 1.0, WHOLE, 1.0): (2.06, 1.94, 2.72, None, None),
    ("llama2-42m", 1.0, WHOLE, 1.0): (1.90, 1.76, 2.52, None, None),
    ("llama2-126m", 1.0, WHOLE, 1.0): (1.71, 1.59, 2.23, None, None),
}
COLUMNS = [(None, 1), ("accumulate", 4), ("replace", 4), ("replace", 10), ("replace-multiple", 4)]


@pytest.fixture(autouse=True)
def table_2_alone(monkeypatch):
    """Leave out later runs, which have other values at the same iterations."""
    monkeypatch.setattr(language_model, "FAMILY", replace(language_model.FAMILY, published=TABLE_2))


def study(**experiment):
    plan = {"family": "language_model", "regimes": ["replace", "accumulate"], "iterations": 4}
    plan |= {"seeds": 3, "samples": WHOLE}
    plan |= {"settings": {"data": "tinystories", "model": "gpt2-9m"}, **experiment}
    return gathering.study(**plan)


def measured(plan):
    """A dataset of which every value is known: 1.5, plus 0.1 a seed, plus 0.2 an iteration."""
    found = gathering.filled(plan, "test_cross_entropy", value=1.5)
    return found + 0.1 * found["seed"] + 0.2 * (found["iteration"] - 1)


def table(plan, dataset=None):
    dataset = measured(plan) if dataset is None else dataset
    return published.compare(plan.chains("loop"), {"loop": dataset})


def published_values(found, **where):
    """Published values, by regime and iteration, of the rows that have one."""
    rows = found.dropna(subset="published").query(
        " and ".join(f"{key} == {value!r}" for key, value in where.items()) or "iteration > 0"
    )
    return {(row.regime, row.iteration): row.published for row in rows.itertuples()}


def test_every_value_of_the_table_is_there_once():
    expected = {
        (row, column): value
        for row, values in ROWS.items()
        for column, value in zip(COLUMNS, values, strict=True)
        if value is not None
    }
    found = {}
    for one in TABLE_2:
        keys = ("model", "temperature", "samples", "epochs")
        row = tuple(one.conditions[key] for key in keys)
        assert (row, (one.regime, one.iteration)) not in found
        found[row, (one.regime, one.iteration)] = one.value
        assert one.metric == "test_cross_entropy" and one.metric in language_model.FAMILY.metrics
        assert set(one.conditions) <= {*language_model.Parameters.model_fields, "samples"}
    assert found == expected


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_study_under_published_conditions_has_the_published_values_beside(row):
    model, temperature, samples, epochs = row
    plan = study(
        regimes=["replace", "accumulate", "replace-multiple", "accumulate-subsample"],
        iterations=10,
        samples=samples,
        settings={"data": "tinystories", "epochs": epochs},
        grid={"model": model, "temperature": temperature},
    )
    first, *others = ROWS[row]
    expected = {(regime, 1): first for regime in plan.regimes_of("loop")}
    expected |= dict(zip(COLUMNS[1:], others, strict=True))
    expected = {place: value for place, value in expected.items() if value is not None}
    found = table(plan)
    assert published_values(found) == expected
    assert list(found.columns) == published.COLUMNS
    assert set(found["source"].dropna()) == {"P1 Table 2"}
    # Of the fixed budget P1 has nothing but iteration 1.
    assert set(found[found["regime"] == "accumulate-subsample"]["iteration"]) == {1}


def test_ours_is_the_mean_over_seeds_with_its_standard_error():
    found = table(study()).set_index(["regime", "iteration"])
    row = found.loc["replace", 4]
    assert row["ours"] == pytest.approx(1.6 + 0.6)
    assert row["standard_error"] == pytest.approx(0.1 / np.sqrt(3))
    assert row["change_from_first"] == pytest.approx(0.6)
    assert row["difference"] == pytest.approx(2.2 - 2.39)
    assert found.loc["accumulate", 1]["difference"] == pytest.approx(1.6 - 1.82)
    assert (found["point"] == f"samples={WHOLE}").all()
    assert (found["metric"] == "test_cross_entropy").all()


def test_one_seed_has_no_standard_error():
    found = table(study(seeds=1))
    assert found["standard_error"].isna().all()
    assert found["ours"].notna().all()


def test_each_point_has_its_own_value():
    plan = study(grid={"temperature": [1.0, 0.3], "model": ["gpt2-9m", "tiny"]}, settings={
        "data": "tinystories"
    })  # fmt: skip
    dataset = measured(plan)
    dataset["test_cross_entropy"].loc[{"temperature": 0.3, "regime": "replace"}] += 10
    dataset["test_cross_entropy"].loc[{"model": "tiny", "regime": "accumulate"}] += 20
    found = table(plan, dataset)
    ours = found[found["iteration"] == 4].set_index(["point", "regime"])["ours"]
    for model, accumulated in (("gpt2-9m", 0), ("tiny", 20)):
        for temperature, replaced in ((1.0, 0), (0.3, 10)):
            point = f"model={model}__temperature={temperature}__samples={WHOLE}"
            assert ours[point, "replace"] == pytest.approx(2.2 + replaced)
            assert ours[point, "accumulate"] == pytest.approx(2.2 + accumulated)
    cold = found[found["point"].str.contains("gpt2-9m__temperature=0.3")]
    assert published_values(cold)["replace", 4] == 5.82


@pytest.mark.parametrize(
    ("settings", "samples"),
    [
        ({"data": "stories"}, WHOLE),
        ({"model": "tiny"}, WHOLE),
        ({"first_epochs": 3.0}, WHOLE),
        ({"temperature": 0.5}, WHOLE),
        ({}, 1000),
    ],
)
def test_under_other_conditions_ours_stand_alone(settings, samples):
    settings = {"data": "tinystories", "model": "gpt2-9m", **settings}
    found = table(study(settings=settings, samples=samples))
    assert len(found) == 4  # two regimes, iterations 1 and 4
    assert found[["published", "difference", "source"]].isna().all(axis=None)
    assert found["ours"].notna().all()


def test_what_was_not_evaluated_is_left_out():
    found = table(study(iterations=10, evaluations=2))
    assert set(found["iteration"]) == {1, 10}
    assert set(table(study(iterations=2))["iteration"]) == {1}


@pytest.mark.parametrize("values", [[None, 3.0], [None]])
def test_an_axis_may_have_a_value_of_nothing(values, tmp_path):
    """NetCDF has it as not a number."""
    plan = study(grid={"first_epochs": values})
    gather.write_dataset(tmp_path / "metrics.nc", measured(plan))
    found = table(plan, xr.load_dataset(tmp_path / "metrics.nc"))
    assert len(found) == 4 * len(values)
    expected = {("replace", 1): 1.82, ("accumulate", 1): 1.82}
    expected |= {("replace", 4): 2.39, ("accumulate", 4): 1.74}
    assert published_values(found, point=f"first_epochs=null__samples={WHOLE}") == expected
    assert len(published_values(found)) == len(expected)


def test_families_of_which_nothing_is_published_have_no_rows():
    other = gathering.study(regimes=["replace"], iterations=4, samples=10)
    found = published.compare(other.chains("loop"), {"loop": xr.Dataset()})
    assert found.empty and list(found.columns) == published.COLUMNS
