"""The comparison with theory passes what is right and refuses what is wrong."""

import numpy as np
import pandas as pd
import pytest

from collapse.families.declarations import Expectation
from collapse.loop.closed_form import run_chain
from collapse.regimes import NAMED, Regime
from collapse.results import theory_check
from collapse.study.chain_spec import ChainSpec


def chain(regime, family="gaussian", iterations=5, evaluated=None, **parameters):
    evaluated = tuple(range(1, iterations + 1)) if evaluated is None else evaluated
    return ChainSpec("e", "p", "r", regime, family, parameters, 12, iterations, evaluated)


def test_scores_of_a_true_expectation_are_standard_normal():
    generator = np.random.default_rng(0)
    expectation = Expectation(np.full(4000, 2.0), "page")
    scores = theory_check.compare(2 + generator.standard_normal((8, 4000)), expectation).z
    assert abs(scores.mean()) < 4 / np.sqrt(4000)
    assert scores.std() == pytest.approx(1, abs=4 / np.sqrt(2 * 4000))
    assert np.abs(scores).max() < 4.5, "Student's tails are taken into account"


def test_a_wrong_expectation_has_a_large_score():
    values = np.random.default_rng(1).standard_normal((100, 1))
    assert theory_check.compare(values, Expectation(np.array([0.7]), "page")).z[0] < -5


def test_theory_may_know_a_larger_spread_than_the_sample():
    values = np.zeros((100, 1)) + np.random.default_rng(2).normal(0, 0.01, (100, 1))
    skewed = Expectation(np.array([1.0]), "page", deviation=np.array([20.0]))
    assert abs(theory_check.compare(values, skewed).z[0]) < 1


def test_differences_from_the_first_iteration_are_of_the_same_seed():
    start = np.random.default_rng(3).normal(0, 100, (50, 1))
    values = start + np.array([0.0, 1.0]) + np.random.default_rng(4).normal(0, 0.1, (50, 2))
    result = theory_check.compare(
        values, Expectation(np.array([0.0, 1.0]), "page", above_first=True)
    )
    assert result.z[0] == 0
    assert result.standard_error[1] < 0.05


@pytest.mark.parametrize(
    ("family", "parameters"),
    [
        ("gaussian", {"dimension": 2, "variance": 2.5, "estimator": "unbiased"}),
        ("gaussian", {"dimension": 3, "variance": 1.0, "estimator": "maximum-likelihood"}),
        ("linear_regression", {"dimension": 4, "noise_variance": 0.5}),
        ("kernel_density", {"dataset": "moons", "bandwidth": "scott", "kernel": "tophat"}),
        ("discrete", {"outcomes": 3}),
    ],
)
@pytest.mark.parametrize("regime", ["replace", "accumulate", "accumulate-subsample", "odd"])
def test_every_family_agrees_with_its_theory_under_any_regime(family, parameters, regime):
    odd = Regime(keep_real=5, memory=2, generate="n*1.2^(t-1)", fresh_real=3)
    if family == "linear_regression":
        odd = Regime(keep_real=False, memory=3, generate="2n", fresh_real="n")
    if family == "kernel_density":
        odd = Regime(keep_real=5, memory=2, generate="n*1.2^(t-1)", fresh_real="n")
    spec = chain(NAMED.get(regime, odd), family, evaluated=(1, 3, 5), **parameters)
    simulated = run_chain(spec, range(300))
    found = theory_check.expectations(spec)
    assert found
    for metric, expectation in found.items():
        scores = theory_check.compare(simulated[metric], expectation).z
        if expectation.exact and expectation.mean.ndim:
            assert scores.shape == (3,)
        assert np.nanmax(np.abs(np.where(expectation.exact, scores, 0))) < 4.5, metric


def test_theory_says_nothing_of_networks():
    assert theory_check.expectations(chain(NAMED["replace"], "vae")) == {}


def table(z):
    rows = [
        {"experiment": "e", "regime": "r", "metric": "m", "point": str(p), "iteration": t, "z": v}
        | {"source": f"page {p % 2}"}
        for p, row in enumerate(z)
        for t, v in enumerate(row)
    ]
    return pd.DataFrame(rows)


def test_verdicts_see_one_outlier_and_a_small_bias_everywhere():
    noise = np.random.default_rng(5).standard_normal((30, 20))
    outlier = noise.copy()
    outlier[3, 4] = 7
    for z, expected in ((noise, "agrees"), (noise + 1.2, "DISAGREES"), (outlier, "DISAGREES")):
        (judged,) = theory_check.judge(table(z)).to_dict("records")
        assert judged["verdict"] == expected
        assert judged["source"] == "page 0; page 1"


def test_without_any_theory_there_are_empty_tables_with_their_columns(tmp_path):
    nothing = theory_check.judge(theory_check.compare_chains([], {}))
    nothing.to_csv(tmp_path / "verdicts.csv", index=False)
    assert pd.read_csv(tmp_path / "verdicts.csv").columns.tolist() == nothing.columns.tolist()
    assert "verdict" in nothing and len(nothing) == 0
