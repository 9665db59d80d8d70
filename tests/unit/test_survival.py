"""Survival of outcomes and the support, by branching processes and chains of counts."""

import numpy as np
import pytest
from scipy.stats import binom

from closed_form_chains import assert_within, run
from collapse.families import discrete
from collapse.regimes import NAMED, Regime
from collapse.results import comparisons, theory_verdicts
from collapse.results.comparisons import Compared
from collapse.study.chain_spec import ChainSpec
from collapse.theory import survival


def test_rates_are_of_the_order_of_one_in_k():
    k = np.arange(1, 2001)
    found = survival.rates(2000)
    assert np.all((1 / k <= found) & (found <= 3 / k))
    np.testing.assert_allclose(found[:3], [1, 1 - np.exp(-1), 1 - np.exp(np.exp(-1) - 1)])


def test_branching_against_simulation():
    generator, seeds = np.random.default_rng(1), 40_000
    for n, rate in ((1, 2.0), (20, 0.3)):
        sums = generator.poisson(n * rate, size=seeds)
        for expected in survival.poisson_survival(n, rate, 12):
            assert_within((sums > 0).astype(float), expected)
            sums = generator.poisson(sums)


def survival_of_the_chain(n, probability, iterations):
    counts = np.arange(n + 1)
    state, transition = binom.pmf(counts, n, probability), binom.pmf(counts, n, counts[:, None] / n)
    left = []
    for _ in range(iterations):
        left.append(1 - state[0])
        state = state @ transition
    return np.array(left)


def test_bounds_contain_the_chain():
    """Also where outcomes are not rare; n = 100 and p = 0.01 are Suresh et al.'s."""
    for n in (1, 2, 10, 100, 200):
        probabilities = np.array([1e-4, 1e-3, 0.01, 0.05, 0.3, 0.9])
        lower, upper = survival.outcome_survival(n, probabilities, 50)
        for column, probability in enumerate(probabilities):
            exact = survival_of_the_chain(n, probability, 50)
            assert np.all(lower[:, column] <= exact + 1e-12)
            assert np.all(exact <= upper[:, column] + 1e-12)
            if (n, probability) == (100, 0.01):
                np.testing.assert_allclose(exact[[9, 49]], [0.1614, 0.0411], atol=5e-5)
                assert upper[9, column] - lower[9, column] < 0.3


def compared(regime, values, **parameters):
    iterations = values.shape[1]
    given = discrete.Parameters(**parameters)
    expected = discrete.expectations(given, regime, 40, iterations)["support"]
    spec = ChainSpec("e", "p", "r", regime, "discrete", {}, 40, iterations, ())
    found = comparisons.compare(values, expected)
    judged = theory_verdicts.judge([Compared(spec, "r", "support", "", found)])
    return expected, judged["verdict"].item()


@pytest.mark.parametrize("parameters", [{}, {"zipf_exponent": 1.5}])
def test_support_is_within_its_bounds_and_what_is_kept_is_known(parameters):
    parameters = {"outcomes": 60, **parameters}
    values = run("discrete", NAMED["replace"], 40, 12, 400, **parameters)["support"]
    expected, verdict = compared(NAMED["replace"], values, **parameters)
    assert expected.mean is None and expected.kind == "bounds" and verdict == "agrees"
    assert np.all(expected.lower < expected.upper) and np.all(np.diff(expected.upper) <= 0)
    for outside in (values + 10, values * 0.5):
        assert compared(NAMED["replace"], outside, **parameters)[1] == "DISAGREES"
    assert compared(NAMED["replace"], values[:5], **parameters)[1] == "too few seeds"
    kept = run("discrete", NAMED["accumulate"], 40, 4, 2000, **parameters)["support"]
    expected, verdict = compared(NAMED["accumulate"], kept, **parameters)
    assert expected.kind == "theory" and verdict == "agrees"
    assert_within((kept - expected.mean) ** 2, expected.deviation**2)


def test_nothing_is_said_of_regimes_that_are_not_covered():
    for regime in (NAMED["accumulate-subsample"], Regime(keep_real=True, fresh_real=3)):
        assert "support" not in discrete.expectations(discrete.Parameters(), regime, 40, 5)
