"""The comparison with theory passes what is right and refuses what is wrong."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from collapse.families.declarations import Expectation
from collapse.loop.closed_form import run_chain
from collapse.regimes import NAMED, Regime
from collapse.results import comparisons, evidence, theory_check, theory_verdicts
from collapse.study.chain_spec import ChainSpec


def chain(regime, family="gaussian", iterations=5, evaluated=None, **parameters):
    evaluated = tuple(range(1, iterations + 1)) if evaluated is None else evaluated
    return ChainSpec("e", "p", "r", regime, family, parameters, 12, iterations, evaluated)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("seeds", [2, 3, 5, 10, 30, 100])
@pytest.mark.parametrize("law", ["normal", "exponential", "rare", "lognormal", "ties"])
def test_scores_exceed_a_limit_no_more_often_than_said(law, seeds, known):
    """For any law with a known variance: skewed, heavy-tailed or with ties."""
    if not known and law in ("rare", "lognormal"):
        pytest.skip("these say their variance, because seeds without the rare event don't show it")
    generator, studies = np.random.default_rng(seeds), 20_000
    shape = (seeds, studies)
    values, variance = {
        "normal": lambda: (generator.standard_normal(shape), 1.0),
        "exponential": lambda: (generator.exponential(size=shape) - 1, 1.0),
        "rare": lambda: ((generator.random(shape) < 0.03) - 0.03, 0.03 * 0.97),
        "lognormal": lambda: (
            np.exp(1.5 * generator.standard_normal(shape)) - np.exp(1.125),
            np.exp(2.25) * np.expm1(2.25),
        ),
        "ties": lambda: (generator.integers(3, size=shape) - 1.0, 2 / 3),
    }[law]()
    found = evidence.score(values, variance, known=known)
    assert np.abs(found.z).max() <= found.attainable * (1 + 1e-12)
    for probability in (0.3, 0.03, 0.003):
        alarms = np.mean(np.abs(found.z) > evidence.limit(probability, 1))
        assert alarms <= probability + 3 * np.sqrt(probability / studies), probability


def test_scores_see_what_is_wrong():
    """With many seeds, whether by a little or by far; with few, all that they can attain."""
    generator = np.random.default_rng(0)
    off = generator.standard_normal((100, 3)) + np.array([1.0, 10, 1e6])
    assert np.all(evidence.score(off, 1.0, known=True).z > 6)
    assert np.all(evidence.score(off, 0.0, known=False).z > 6)
    few = evidence.score(np.full((5, 1), 1e3), 1.0, known=True)
    assert few.z[0] < few.attainable < evidence.limit(1e-3, 1)


def expectation(mean, deviation=1.0, **options):
    mean = np.atleast_1d(np.asarray(mean, dtype=float))
    return Expectation(mean, "page", np.full(mean.shape, deviation), **options)


def test_differences_from_the_first_iteration_are_of_the_same_seed():
    start = np.random.default_rng(3).normal(0, 100, (50, 1))
    values = start * [1.0, 0.5] + [0.0, 1.0] + np.random.default_rng(4).normal(0, 0.1, (50, 2))
    values[:, 0] = start[:, 0]
    one = Expectation(
        np.array([0.0, 1.0]), "page", np.array([0.0, 0.1]), of_first=np.array([1.0, 0.5])
    )
    result = comparisons.compare(values, one)
    assert result.z[0] == 0 and abs(result.z[1]) < 4
    assert result.standard_error[1] < 0.05


INFINITY = np.inf


@pytest.mark.parametrize(
    ("value", "expected", "status", "score"),
    [
        (np.nan, expectation(1), "not finite", INFINITY),
        (-INFINITY, expectation(-5), "not finite", INFINITY),
        (-INFINITY, expectation(-5, representable=np.array([False])), "out of range", np.nan),
        (-INFINITY, expectation(-INFINITY, np.nan), "compared", 0),
        (-700.0, expectation(-INFINITY, np.nan), "compared", INFINITY),
        (0.0, expectation(1e-300), "out of range", np.nan),
        (2.0, expectation(1, INFINITY), "infinite variance", np.nan),
        (np.nan, expectation(1, INFINITY), "not finite", INFINITY),
        (2.0, expectation(2, 0.0), "compared", 0),
        (2.1, expectation(2, 0.0), "compared", INFINITY),
    ],
)
def test_what_can_not_be_compared_is_said_and_what_is_not_finite_disagrees(
    value, expected, status, score
):
    """One such seed among a hundred is enough."""
    values = np.full((100, 1), expected.mean[0] if np.isfinite(value) else 0.0)
    values[7:, 0] = value if np.isinf(expected.mean[0]) or np.isfinite(value) else 1.0
    values[7, 0] = value
    if np.isneginf(expected.mean[0]) and np.isneginf(value):
        values[:] = value
    result = comparisons.compare(values, expected)
    assert result.status[0] == status
    np.testing.assert_equal(result.z[0], score)


@pytest.mark.parametrize(
    ("family", "parameters"),
    [
        ("gaussian", {"dimension": 2, "variance": 2.5, "estimator": "unbiased"}),
        ("gaussian", {"dimension": 3, "variance": 1.0, "estimator": "maximum-likelihood"}),
        ("linear_regression", {"dimension": 4, "noise_variance": 0.5}),
        ("kernel_density", {"dataset": "moons", "bandwidth": "scott", "kernel": "tophat"}),
        ("discrete", {"outcomes": 3}),
        ("discrete", {"outcomes": 5, "zipf_exponent": 1.2}),
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
    found = comparisons.expectations(spec)
    assert found
    for metric, one in found.items():
        if one.exact:
            result = comparisons.compare(simulated[metric], one)
            assert result.z.shape == (one.shape or (1,))
            assert np.all(result.status == "compared")
            assert np.abs(result.z).max() < 4.5, metric


def test_theory_says_nothing_of_networks():
    assert comparisons.expectations(chain(NAMED["replace"], "vae")) == {}


def compared(deviations, known=True, metric="m"):
    """What `compare_chains` would find of points with these deviations: (points, seeds, times)."""
    one = Expectation(
        np.full(deviations.shape[2], 3.0),
        "page",
        np.ones(deviations.shape[2]),
        "exact" if known else "least",
    )
    specs = [replace(chain(NAMED["replace"]), point=str(p)) for p in range(len(deviations))]
    return [
        comparisons.Compared(
            spec, "r", metric, f"page {p % 2}", comparisons.compare(3 + d, one, str(p))
        )
        for p, (spec, d) in enumerate(zip(specs, deviations, strict=True))
    ]


@pytest.mark.parametrize("known", [True, False])
def test_verdicts_see_an_outlier_a_small_error_everywhere_and_copied_seeds(known):
    noise = np.random.default_rng(5).standard_normal((30, 100, 5))
    outlier, copied = noise.copy(), noise.copy()
    outlier[3, :, 4] += 0.9
    copied[:, 1::2] = copied[:, ::2]
    cases = {
        "": noise,
        "a point at an iteration": outlier,
        "all points at an iteration; all points and iterations": noise + 0.12,
        "seeds depend on each other": copied,
    }
    for because, deviations in cases.items():
        (judged,) = theory_verdicts.judge(compared(deviations, known)).to_dict("records")
        assert because in judged["because"] and bool(because) == bool(judged["because"])
        assert judged["verdict"] == ("DISAGREES" if because else "agrees")
        assert judged["source"] == "page 0; page 1"


def test_too_few_seeds_are_said_unless_points_make_up_for_them():
    noise = np.random.default_rng(6).standard_normal((30, 2, 5))
    for points, verdict in ((30, "agrees"), (3, "too few seeds")):
        (judged,) = theory_verdicts.judge(compared(noise[:points])).to_dict("records")
        assert judged["verdict"] == verdict
        assert judged["too_few_seeds"] == judged["comparisons"] == 5 * points
    judged = theory_verdicts.judge(compared(noise[:3]))
    assert theory_verdicts.line(judged) == (
        "Theory: 15 comparisons, of which 15 only count together with others (too few seeds); "
        "0 of 1 verdicts disagree."
    )


def test_infinite_variances_are_no_agreement():
    """Linear regression two or three rows from the interpolation threshold; at four they are."""
    for samples, verdict in ((11, "infinite variance"), (13, "agrees")):
        spec = replace(chain(NAMED["replace"], "linear_regression", dimension=9), samples=samples)
        one = comparisons.expectations(spec)["test_error"]
        found = comparisons.compare(run_chain(spec, range(50))["test_error"], one)
        table = theory_verdicts.judge(
            [comparisons.Compared(spec, "r", "test_error", one.source, found)]
        )
        assert list(table["verdict"]) == [verdict]
        assert table["infinite_variance"][0] == (0 if verdict == "agrees" else 5)


@pytest.mark.parametrize(
    ("verdicts", "together"),
    [
        ([], ""),
        (["agrees", "DISAGREES", "too few seeds"], "DISAGREES"),
        (["infinite variance", "agrees"], "agrees"),
        (["agrees", "agrees (3 of 5)"], "agrees (3 of 5)"),
        (["infinite variance", "too few seeds"], "too few seeds"),
    ],
)
def test_one_verdict_for_several(verdicts, together):
    assert theory_verdicts.together(verdicts) == together


def test_without_any_theory_there_are_empty_tables_with_their_columns(tmp_path):
    assert list(theory_check.tabulate([])) == theory_check.COLUMNS
    nothing = theory_verdicts.judge([])
    assert theory_verdicts.line(nothing) == ""
    nothing.to_csv(tmp_path / "verdicts.csv", index=False)
    assert pd.read_csv(tmp_path / "verdicts.csv").columns.tolist() == nothing.columns.tolist()
    assert "verdict" in nothing and len(nothing) == 0
