"""Theory of weights, provenance, selection and growth: against simulation, and its limits."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from closed_form_chains import assert_within, run
from collapse import families
from collapse.families import regime_metrics
from collapse.loop import whole_pools
from collapse.regimes import NAMED, Regime
from collapse.results import comparisons
from collapse.theory import gaussian, linear_regression, pairs, selection, weights

SHARES = st.sampled_from([0.1, 0.5, 0.9, "1*t^-1", "1-0.5*0.9^(t-1)"])


@given(
    st.integers(2, 9),
    st.booleans() | st.integers(1, 2),
    st.none() | st.integers(1, 3),
    st.integers(0, 3),
    st.none() | st.integers(2, 5),
    st.none() | SHARES,
    st.booleans(),
)
def test_what_the_variance_loses_the_mean_wanders(n, keep, memory, fresh, budget, share, random):
    regime = Regime(
        keep_real=keep,
        memory=memory,
        fresh_real=fresh,
        budget=budget,
        weigh=None if share is None else {"real": share},
        provenance="bernoulli" if random else "fixed",
    )
    assume(keep or fresh or share is None)
    assume(pairs.covers(regime))
    assume(share is not None or (budget or 0) <= min(regime.pool_sizes(6, n)))
    moments = pairs.variance_fractions(regime, n, 6)
    np.testing.assert_allclose(moments.variance + moments.squared_error, 1, rtol=1e-12)
    assert np.all(moments.variance >= -1e-12) and np.all(moments.squared_error > 0)


def test_the_share_that_the_counts_have_is_no_weight():
    plain = Regime(keep_real=False, memory=1, fresh_real=6, generate=2)
    equal = plain.model_copy(update={"weigh": Regime(keep_real=1, weigh={"real": 0.75}).weigh})
    for estimator in ("maximum-likelihood", "unbiased", "within-sources"):
        one, other = (pairs.variance_fractions(each, 8, 9, estimator) for each in (plain, equal))
        np.testing.assert_allclose(one, other, rtol=1e-12)


HE = {"keep_real": False, "memory": 1, "fresh_real": "n"}
SIMULATED = {
    "golden": Regime(**HE, weigh={"real": 0.618}),
    "few synthetic": Regime(**HE, generate="0.5n", weigh={"real": 0.3}),
    "kept for ever": Regime(keep_real=True, weigh={"real": 0.5}),
    "schedule": Regime(keep_real=2, memory=2, fresh_real=1, weigh={"real": "1-0.5*t^-1"}),
    "drawn in fixed shares": Regime(keep_real=True, budget=5, weigh={"real": 0.4}),
    "drawn at random": Regime(keep_real=1, budget=5, weigh={"real": 0.4}, provenance="bernoulli"),
    "real at random": Regime(keep_real=True, fresh_real=2, generate=3, provenance="bernoulli"),
    "real at random, then a budget": Regime(
        keep_real=False, memory=2, fresh_real=2, budget=4, provenance="bernoulli"
    ),
}


@pytest.mark.parametrize(
    ("name", "estimator"),
    [
        *itertools.product(SIMULATED, ["maximum-likelihood", "unbiased"]),
        *itertools.product(["golden", "few synthetic", "kept for ever"], ["within-sources"]),
    ],
)
def test_moments_against_simulation(name, estimator):
    found = run("gaussian", SIMULATED[name], 4, 6, 4000, estimator=estimator, dimension=1)
    expected = pairs.variance_fractions(SIMULATED[name], 4, 6, estimator)
    assert_within(found["trace_ratio"], expected.variance)
    assert_within(found["squared_error_of_mean"], expected.squared_error)


@pytest.mark.parametrize("name", SIMULATED)
def test_outcomes_obey_the_moments_of_pairs(name):
    found = run("discrete", SIMULATED[name], 4, 6, 4000, outcomes=3)
    expected = pairs.variance_fractions(SIMULATED[name], 4, 6)
    assert_within(found["gini_simpson"], 2 / 3 * expected.variance)


@pytest.mark.parametrize("name", ["golden", "kept for ever"])
def test_regression_on_weighted_labels(name):
    regime = SIMULATED[name]
    found = run("linear_regression", regime, 12, 5, 4000, dimension=3, noise_variance=0.5)
    expected = linear_regression.expected_test_error(regime, 12, 3, 0.5, 5)
    assert_within(found["test_error"], expected)
    deviation = linear_regression.deviation(regime, 12, 3, 0.5, 5)
    np.testing.assert_allclose(found["test_error"].std(axis=0), deviation, rtol=0.15)


@pytest.mark.parametrize("off", [0.99, 1.01])
def test_weights_that_are_off_by_a_percent_disagree_with_the_share(monkeypatch, off):
    """With one seed: the share is measured on the weights that the fit is given."""
    true = whole_pools.balance
    monkeypatch.setattr(whole_pools, "balance", lambda share, *totals: true(share * off, *totals))
    regime = SIMULATED["golden"]
    found = run("gaussian", regime, 10, 5, 3)["real_share"]
    compared = comparisons.compare(found, regime_metrics.expectations(regime, 10, 5)["real_share"])
    assert np.isinf(compared.z[1:]).all() and compared.z[0] == 0


@pytest.mark.parametrize("off", [0.975, 1.025])
def test_a_fit_that_weighs_wrongly_is_seen(off):
    wrong, right = (Regime(**HE, weigh={"real": 0.2 * one}) for one in (off, 1.0))
    found = run("gaussian", wrong, 20, 150, 400, dimension=16)["squared_error_of_mean"]
    expected = 16 * pairs.variance_fractions(right, 20, 150).squared_error
    gap = (found / expected).mean(axis=1) - 1
    assert abs(gap.mean()) > 3 * gap.std() / np.sqrt(len(gap))


@pytest.mark.parametrize("k", [0.5, 1.0, 4.0])
def test_the_golden_ratio_and_its_kin(k):
    best = weights.best_weight(k)
    assert weights.risk(best, k) == pytest.approx(best)
    grid = np.linspace(0.01, 1, 1000)
    assert grid[weights.risk(grid, k).argmin()] == pytest.approx(best, abs=1e-3)
    assert weights.risk(k / (1 + k), k) == pytest.approx((1 + k) / (2 + k)), "plain mixing"
    n = 40
    for w in (0.2, best, 0.9):
        regime = Regime(**HE, generate=int(n / k), weigh={"real": w})
        limit = pairs.variance_fractions(regime, n, 150, "within-sources").squared_error[-1]
        assert n * limit == pytest.approx(float(weights.risk(w, k)), rel=1e-9)
    assert weights.best_weight(1.0) == pytest.approx(2 / (1 + np.sqrt(5)))


@pytest.mark.parametrize(("share", "limit"), [(0.618, 0.03756), (0.5, 0.04063)])
def test_the_covariance_of_a_stream(share, limit):
    """The limits are those of He et al.'s design, d = 2 and n = 100."""
    regime = Regime(**HE, weigh={"real": share})
    expected = weights.stream_squared_error_of_covariance(regime, 100, 2, 200)
    assert expected[-1] == pytest.approx(limit, abs=5e-6)
    small = Regime(**HE, generate=5, weigh={"real": share})
    found = run("gaussian", small, 8, 12, 3000, estimator="within-sources", dimension=3)
    assert_within(
        found["squared_error_of_covariance"],
        weights.stream_squared_error_of_covariance(small, 8, 3, 12),
    )


@pytest.mark.parametrize("name", ["replace", "accumulate"])
def test_the_error_of_the_covariance_on_whole_pools(name):
    found = run("gaussian", NAMED[name], 6, 5, 4000, dimension=3, variance=2.0)
    expected = gaussian.moments(pairs.whole_pools(NAMED[name], 6, 5), 6, 3)
    errors = 4 * expected.squared_error_of_covariance
    assert_within(found["squared_error_of_covariance"], errors)


@pytest.mark.parametrize(("share", "slope"), [(0.05, -0.098), (0.1, -0.197), (0.25, -0.485)])
def test_a_constant_stream_of_real_data_corrects_slowly(share, slope):
    """Everything is kept: the error of the mean falls like t^(-2α)."""
    n = 1000
    stream = Regime(keep_real=True, fresh_real=int(share * n), generate=int((1 - share) * n))
    arrivals = pairs.whole_pools(stream, n, 3)
    new = arrivals[-1]
    assert [one.kept for one in arrivals] == [n, 2 * n]
    arrivals = [new._replace(kept=t * n) for t in range(1, 1200)]
    error = gaussian.moments(arrivals, n, 1).squared_error
    found = np.log(error[1199] / error[299]) / np.log(4)
    assert found == pytest.approx(slope, abs=0.002)
    assert found == pytest.approx(-2 * share, abs=0.02)


@pytest.mark.parametrize("power", [0.5, 1.5])
def test_samples_that_grow_faster_than_time_prevent_collapse(power):
    """With an unbiased fit the error is the sum of 1 / m: it converges if the power exceeds 1."""
    regime = Regime(keep_real=False, memory=1, generate=f"n*t^{power}")
    error = pairs.variance_fractions(regime, 100, 400, "unbiased").squared_error
    sizes = [100] + [regime.generated(t, 100) for t in range(2, 401)]
    np.testing.assert_allclose(error, np.cumsum(1 / np.array(sizes)), rtol=1e-9)
    grows = error[399] / error[99]
    assert grows > 1.9 if power < 1 else grows < 1.1


# Selection.


def of_best(error=0.0, candidates=3, **regime):
    return Regime(**regime, select={"score": "reward", "candidates": candidates, "error": error})


ALONE = {"keep_real": False, "memory": 1}
CHAINS = {
    "replace": of_best(**ALONE),
    "a verifier that errs": of_best(0.3, **ALONE),
    "growing": of_best(**ALONE, generate="tn"),
    "accumulate": of_best(keep_real=True),
}


@pytest.mark.parametrize("name", CHAINS)
def test_the_best_outcomes_against_simulation(name):
    found = run("discrete", CHAINS[name], 6, 6, 4000, outcomes=4)
    expected = selection.best_of_outcomes(CHAINS[name], 6, np.full(4, 1 / 4), 6)
    assert_within(found["mean_outcome"], expected.mean)
    assert_within(found["score_of_kept"][:, 1:], expected.kept[1:])
    for values, bound in (
        (found["mean_outcome"], expected.deviation),
        (found["score_of_kept"][:, 1:], expected.kept_deviation[1:]),
    ):
        spread = values.std(axis=0)
        assert np.all((bound >= 0.9 * spread) & (bound <= 3 * spread + 0.01))


def test_what_is_too_rare_to_be_seen_is_no_disagreement():
    """The best of five leaves one outcome soon; that it is not the last is rarer than a seed."""
    regime = of_best(candidates=5, **ALONE)
    found = run("discrete", regime, 40, 12, 500, outcomes=4)["mean_outcome"]
    family = families.load("discrete")
    expected = family.expectations(family.parameters(outcomes=4), regime, 40, 12)["mean_outcome"]
    assert np.abs(comparisons.compare(found, expected).z).max() < 5


def test_one_candidate_less_or_the_wrong_side_is_seen():
    expected = selection.best_of_outcomes(CHAINS["replace"], 6, np.full(4, 1 / 4), 3).mean
    for wrong in (of_best(candidates=2, **ALONE), of_best(1.0, **ALONE)):
        found = run("discrete", wrong, 6, 3, 1000, outcomes=4)["mean_outcome"]
        with pytest.raises(AssertionError):
            assert_within(found, expected)


def test_the_best_of_one_candidate_is_any():
    distribution = np.linspace(0, 1, 5)
    np.testing.assert_allclose(selection.best_of(distribution, 1, 0.3), distribution)
    one = of_best(candidates=1, **ALONE)
    mean = selection.best_of_outcomes(one, 6, np.full(4, 1 / 4), 5).mean
    np.testing.assert_allclose(mean, 1.5, rtol=1e-12)


def test_curation_tends_to_the_density_times_the_exponential_of_the_reward():
    curated = Regime(
        **ALONE,
        select={"score": "reward", "rule": "softmax", "temperature": 4.0, "candidates": 400},
    )
    found = run("gaussian", curated, 1500, 5, 8, dimension=2, target=1.5, variance=2.0)
    limit = selection.curated_gaussian(2.0, 1.5, 4.0, 5)
    np.testing.assert_allclose(found["trace_ratio"].mean(axis=0), limit.variance / 2, rtol=0.03)
    error = found["squared_error_of_mean"].mean(axis=0)[1:]
    np.testing.assert_allclose(error, 2 * limit.mean[1:] ** 2, rtol=0.05)


def test_theory_says_nothing_where_it_knows_nothing():
    scored = Regime(keep_real=True, weigh={"score": "distance"})
    passing = Regime(
        keep_real=True,
        select={"score": "distance", "candidates": 9, "rule": "threshold", "threshold": 1.0},
    )
    for name in ("gaussian", "linear_regression", "kernel_density", "discrete"):
        family = families.load(name)
        for regime in (scored, passing):
            assert family.expectations(family.parameters(), regime, 10, 5) == {}, name
        assert family.expectations(family.parameters(), NAMED["accumulate"], 10, 5), name


@pytest.mark.parametrize(
    "regime",
    [
        *SIMULATED.values(),
        Regime(keep_real=True, fresh_real=2, budget="n", provenance="bernoulli"),
        *CHAINS.values(),
    ],
)
def test_metrics_of_a_regime_are_those_expected_of_it(regime):
    found = run("discrete", regime, 6, 5, 2000, outcomes=4)
    expected = regime_metrics.expectations(regime, 6, 5)
    assert expected
    for name, one in expected.items():
        mean, spread = found[name].mean(axis=0), found[name].std(axis=0)
        there = np.isfinite(one.mean)
        assert np.array_equal(there, np.isfinite(mean)), name
        error = one.deviation / np.sqrt(2000)
        assert np.all(np.abs(mean - one.mean)[there] <= 5 * error[there] + 1e-9), name
        assert np.all(spread[there] <= 1.2 * one.deviation[there] + 1e-9), name
