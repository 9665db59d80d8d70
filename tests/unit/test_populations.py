"""Populations: several models of a seed that train on what each other write."""

import functools

import numpy as np
import pytest
import xarray as xr
import yaml
from hypothesis import given
from hypothesis import strategies as st

import closed_form_chains
import collapse
from closed_form_chains import assert_within
from collapse import study
from collapse.artifacts import chain_file
from collapse.families import discrete, gaussian
from collapse.loop import chain
from collapse.regimes import NAMED, Population, Regime, counts
from collapse.results import dataset, gather
from collapse.theory.pairs import variance_fractions
from collapse.theory.populations import population_fractions

run = functools.partial(closed_form_chains.run, "gaussian")
REPLACE, ACCUMULATE = NAMED["replace"], NAMED["accumulate"]
#: One that learns from the next model and itself, one in a row, and one that copies the first.
ROWS = "0.5 0.5 0; 0 0.5 0.5; 1 0 0"
PLAIN = {
    "replace": REPLACE,
    "accumulate": ACCUMULATE,
    "some real, newest": Regime(keep_real=5, memory=1, generate=7, fresh_real=3),
    "some real": Regime(keep_real=5, fresh_real=3),
}


def with_population(regime, models=3, **keys):
    return regime.model_copy(update={"population": Population(models=models, **keys)})


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=6).filter(any),
    st.integers(0, 1000),
    st.integers(0, 5),
)
def test_samples_are_divided_by_shares(parts, size, first):
    shares = np.array(parts) / sum(parts)
    found = counts(shares, size, first)
    assert sum(found) == size
    assert np.all(np.abs(np.array(found) - shares * size) < 1)
    if size % sum(parts) == 0:
        assert found == [part * size // sum(parts) for part in parts]


def test_models_with_equal_shares_write_as_many_samples():
    """However few there are for each."""
    for models, size in ((4, 1), (4, 10), (3, 2), (7, 100)):
        shares = Population(models=models).shares
        written = np.array([counts(row, size, first=m) for m, row in enumerate(shares)])
        assert (written.sum(axis=0) == size).all() and (written.sum(axis=1) == size).all()


@pytest.mark.parametrize("regime", [REPLACE, ACCUMULATE, NAMED["accumulate-subsample"]])
@pytest.mark.parametrize(
    ("family", "metric"),
    [("gaussian", "squared_error_of_mean"), ("linear_regression", "test_error")],
)
def test_a_model_alone_is_the_first_of_a_population_alone(family, metric, regime):
    """Its numbers do not change; the other models have real data in common and no other number."""
    alone = with_population(regime, exchange="alone")
    one, many = (
        closed_form_chains.run(family, each, 10, 6, 5, dimension=2) for each in (regime, alone)
    )
    for name, values in one.items():
        np.testing.assert_array_equal(many[name][:, 0], values, err_msg=name)
    error = many[metric]
    assert error.shape == (5, 3, 6)
    np.testing.assert_array_equal(error[:, 1, 0], error[:, 0, 0])
    assert not np.any(error[:, 1, 1:] == error[:, 0, 1:])


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("estimator", ["maximum-likelihood", "unbiased"])
def test_models_alone_have_the_moments_of_one_model(name, estimator):
    alone = with_population(PLAIN[name], exchange="alone")
    found = population_fractions(alone, 20, 30, unbiased=estimator == "unbiased")
    expected = variance_fractions(PLAIN[name], 20, 30, estimator)
    for values, one in zip(found, expected, strict=True):
        np.testing.assert_allclose(values, np.repeat(one[:, None], 3, axis=1), rtol=1e-12)


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("exchange", ["ring", "shared", ROWS])
@pytest.mark.parametrize("real", ["common", "split"])
def test_moments_of_a_population_are_those_of_theory(name, exchange, real):
    """Of each of its models, with the estimator by which the variance of more counts."""
    estimator = "unbiased" if real == "split" else "maximum-likelihood"
    regime = with_population(PLAIN[name], exchange=exchange, real=real)
    found = run(regime, 10, 6, 1500, dimension=2, estimator=estimator)
    expected = population_fractions(regime, 10, 6, unbiased=real == "split")
    assert_within(found["trace_ratio"], expected.variance.T)
    assert_within(found["squared_error_of_mean"], 2 * expected.squared_error.T)


@pytest.mark.parametrize("regime", [REPLACE, ACCUMULATE], ids=["replace", "accumulate"])
@pytest.mark.parametrize("real", ["common", "split"])
def test_models_learn_directions_that_only_others_have_real_data_of(regime, real):
    """With fewer samples than dimensions, the spans of what models were given differ."""
    population = with_population(regime, exchange="shared", real=real)
    found = run(population, 4, 5, 1000, dimension=8)
    expected = population_fractions(population, 4, 5, unbiased=False)
    assert_within(found["trace_ratio"], expected.variance.T)
    assert_within(found["squared_error_of_mean"], 8 * expected.squared_error.T)


def test_an_exchange_that_is_another_is_seen():
    """A ring whose models keep a third of their own samples is not the ring of theory."""
    ring = with_population(REPLACE, exchange="ring", real="split")
    other = with_population(REPLACE, exchange="0.34 0.66 0; 0 0.34 0.66; 0.66 0 0.34", real="split")
    found = run(other, 50, 6, 1500, dimension=2)["squared_error_of_mean"]
    with pytest.raises(AssertionError):
        assert_within(found, 2 * population_fractions(ring, 50, 6, unbiased=False).squared_error.T)


def test_what_populations_are_known_for():
    """Sharing slows the loss of variance, a ring does not, and private knowledge spreads."""

    def last(regime, **keys):
        fractions = population_fractions(
            with_population(regime, models=4, **keys), 100, 100, unbiased=False
        )
        return [one[-1].mean() for one in fractions]

    alone, ring, shared = (last(REPLACE, exchange=name)[0] for name in ("alone", "ring", "shared"))
    np.testing.assert_allclose([alone, ring, shared], [0.99**100, 0.99**100, 0.78], rtol=0.02)
    assert last(ACCUMULATE, exchange="ring", real="split")[1] < 0.5 / 100
    assert last(ACCUMULATE, exchange="alone", real="split")[1] > 1.5 / 100


def test_outcomes_of_populations_have_the_moments_of_theory():
    regime = with_population(REPLACE, exchange="shared", real="split")
    parameters = discrete.Parameters(outcomes=5)
    found = closed_form_chains.run("discrete", regime, 12, 6, 2000, outcomes=5)
    expected = discrete.FAMILY.expectations(parameters, regime, 12, 6)
    assert set(expected) == {"gini_simpson", "mean_outcome"}
    for name, one in expected.items():
        assert_within(found[name].mean(axis=1), one.mean)


@pytest.mark.parametrize(
    ("family", "parameters"),
    [
        ("linear_regression", {"dimension": 3}),
        ("linear_regression", {"dimension": 3, "design": "fresh"}),
        ("kernel_density", {}),
        ("logistic_regression", {}),
        ("poisson_regression", {"design": "fresh"}),
    ],
)
@pytest.mark.parametrize(
    "regime",
    [
        ACCUMULATE,
        Regime(keep_real=True, budget="n"),
        Regime(keep_real=True, weigh={"real": 0.5}),
        Regime(keep_real=True, fresh_real="n", provenance="bernoulli", budget="n"),
    ],
    ids=["whole", "budget", "weights", "random"],
)
def test_every_family_and_regime_has_populations(family, parameters, regime):
    """Real data is the same, what follows is not, and theory of one model is not drawn."""
    population = with_population(regime, exchange="shared")
    found = closed_form_chains.run(family, population, 30, 3, 2, **parameters)
    metric = {"linear_regression": "test_error", "kernel_density": "test_nll"}
    name = metric.get(family, "squared_error_of_weights")
    values = found[name]
    assert values.shape == (2, 3, 3) and np.isfinite(values).all()
    assert np.ptp(values[..., 0], axis=1).max() == 0 < np.ptp(values[..., 1:], axis=1).min()
    declared = collapse.families.load(family)
    assert not declared.expectations(declared.parameters(**parameters), population, 30, 3)


def test_models_with_a_reused_design_label_all_of_its_rows():
    """Also where each writes a part of the samples."""
    regime = with_population(REPLACE, exchange="shared")
    found = closed_form_chains.run("linear_regression", regime, 30, 4, 2, dimension=3)
    assert (found["distinct_rows"] == 30).all()


def study_of(population, **keys):
    return {
        "regimes": {"own": {"keep_real": False, "memory": 1, "population": population}},
        "experiments": {
            "many": {
                "family": "gaussian",
                "regimes": ["replace", "own"],
                "iterations": 3,
                "seeds": 4,
                "samples": 10,
                **keys,
            }
        },
    }


def loaded(tmp_path, content):
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(content))
    return study.load(path)


def test_members_are_a_dimension_of_the_results(tmp_path):
    """The file of a chain has them, and the dataset; what reads it has means over them."""
    plan = loaded(tmp_path, study_of({"models": [2, 3], "exchange": "ring"}))
    layout, chains = plan.layout("many"), []
    for spec in plan.chains("many"):
        path = tmp_path / f"{spec.regime_name}.nc"
        chain.run(path, specification=spec.as_dict(), version=1, seeds=[0, 1])
        chain.run(path, specification=spec.as_dict(), version=1, seeds=[0, 1, 2, 3])
        chains.append((spec.cell, *chain_file.read_chain(path)[:2]))
    gather.write_dataset(
        tmp_path / "metrics.nc", gather.dataset(chains, layout=layout, study={}, project=tmp_path)
    )
    with xr.open_dataset(tmp_path / "metrics.nc") as found:
        assert dict(found["trace_ratio"].sizes) == {
            **{"regime": 3, "dimension": 1, "variance": 1, "samples": 1, "seed": 4},
            **{"member": 3, "iteration": 3},
        }
        assert found["members"].to_series().to_dict() == {
            "replace": 1,
            "own__population.models=2": 2,
            "own__population.models=3": 3,
        }
        there = found["trace_ratio"].notnull().all(["seed", "iteration"]).squeeze()
        assert there.sum("member").values.tolist() == [1, 2, 3]
        means = found["trace_ratio"].mean("member")
        whole = dataset.read_dataset(tmp_path / "metrics.nc")
        np.testing.assert_allclose(whole["trace_ratio"].values, means.values)
        assert whole["trace_ratio"].attrs == found["trace_ratio"].attrs
        assert whole["trace_ratio"].dims == means.dims
    for spec in plan.chains("many"):
        assert dataset.values_of(whole, spec, "trace_ratio").shape == (4, 3)


def test_a_missing_value_of_a_member_is_not_left_out_of_a_mean():
    values = np.ones((2, 1, 3, 1))  # regime, seed, member, iteration
    values[0, :, 1:] = np.nan  # has one member
    values[1, :, 2] = np.nan
    found = xr.Dataset(
        {"metric": (["regime", "seed", "member", "iteration"], values)},
        coords={"member": range(3), "members": ("regime", [1, 3])},
    )
    means = dataset.mean_of_members(found)["metric"].values.ravel()
    np.testing.assert_array_equal(means, [1, np.nan])


@pytest.mark.parametrize(
    ("population", "keys", "expected"),
    [
        ({"models": 1}, {}, "regimes.own.population.models: found 1, expected at least 2"),
        (
            {"models": 2, "exchange": "rings"},
            {},
            "regimes.own.population.exchange: found rings, expected alone, shared, ring, or 2 rows "
            "of 2 shares",
        ),
        (
            {"models": 2, "exchange": "1 0"},
            {},
            "regimes.own.population.exchange: found 1 0, expected alone, shared, ring, or 2 rows "
            "of 2 shares",
        ),
        (
            {"models": 2, "exchange": "1 0; 0.5 0.6"},
            {},
            "regimes.own.population.exchange: found 1 0; 0.5 0.6, expected shares of at least 0 "
            "that add up to 1 in each row",
        ),
        (
            {"models": 2, "real": "own"},
            {},
            "regimes.own.population.real: found own, expected one of common, split",
        ),
        (
            {"models": 2},
            {"per_iteration": True},
            "regimes.own.population: found one, expected none for the family gaussian by steps, "
            "whose chains have one model",
        ),
        (
            {"models": 2},
            {"settings": {"estimator": "within-sources"}},
            "experiments.many.regimes[1]: found own at samples=10, where estimator: within-sources "
            "does not know the sources of a population, expected a regime that can be run",
        ),
    ],
)
def test_a_wrong_population_is_told_in_one_line(tmp_path, population, keys, expected):
    with pytest.raises(study.StudyError) as error:
        loaded(tmp_path, study_of(population, **keys))
    assert str(error.value).endswith(expected)


def test_a_data_set_is_not_split(tmp_path):
    content = study_of({"models": 2, "real": "split"}, family="logistic_regression")
    assert loaded(tmp_path, content).regime_table["own"].models == 2
    content["experiments"]["many"]["settings"] = {"dataset": "diabetes"}
    with pytest.raises(study.StudyError, match=r"real data is split, and the data set diabetes is"):
        loaded(tmp_path, content)


@pytest.mark.parametrize(
    ("key", "value", "refused"),
    [
        ("generate", 0, "population"),
        ("select", {"score": "distance", "candidates": 2}, "select"),
    ],
)
def test_what_contradicts_a_population_is_refused(key, value, refused):
    keys = {"keep_real": True, "fresh_real": "n", "population": {"models": 2}, key: value}
    assert [where for where, _ in Regime(**keys).problems()] == [refused]


def test_a_regime_without_a_population_stays_what_it_was():
    assert "population" not in REPLACE.as_dict()
    described = with_population(REPLACE).as_dict()
    assert Regime(**described) == with_population(REPLACE)


def test_expected_means_are_those_of_figures():
    """The expectation of a Gaussian's metrics is the mean over the models."""
    regime = with_population(ACCUMULATE, exchange=ROWS, real="split")
    parameters = gaussian.Parameters(dimension=2, variance=4.0)
    found = gaussian.FAMILY.expectations(parameters, regime, 10, 5)
    fractions = population_fractions(regime, 10, 5, unbiased=False)
    np.testing.assert_allclose(found["trace_ratio"].mean, fractions.variance.mean(axis=1))
    error = 8 * fractions.squared_error.mean(axis=1)
    np.testing.assert_allclose(found["squared_error_of_mean"].mean, error)
