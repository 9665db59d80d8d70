"""The discrete family: drift to one outcome, and how long it takes."""

import functools
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare, ks_2samp

import closed_form_chains
import gathering
from closed_form_chains import assert_within
from collapse.families.discrete.parameters import Parameters, truth_of
from collapse.families.discrete.simulator import Counts, Simulator
from collapse.loop.closed_form import run_chain
from collapse.regimes import NAMED, Regime
from collapse.results.dataset import values_of
from collapse.seeding import Streams
from collapse.theory import discrete as theory
from reference import reference_collapse
from refusing import refused

run = functools.partial(closed_form_chains.run, "discrete")


@pytest.mark.parametrize("outcomes", [2, 10])
@pytest.mark.parametrize("n", [10, 30])
def test_iterations_to_collapse_are_those_of_theory_and_of_the_plain_loop(outcomes, n):
    steps = run(NAMED["replace"], n, 1, 1500, outcomes=outcomes)["iterations_to_collapse"]
    assert_within(steps, theory.iterations_to_collapse(n, theory.uniform(outcomes)).mean)
    generator = np.random.default_rng(outcomes * n)
    plain = [reference_collapse(outcomes, n, generator) for _ in range(150)]
    assert ks_2samp(steps, plain).pvalue > 1e-4


def test_iterations_to_collapse_approach_the_diffusion_limit():
    """About 2n ln 2 iterations for K = 2, 1.9 n for K = 10, 2n for many."""
    for outcomes, factor in {2: 2 * np.log(2), 10: 1.9, 200: 2.0}.items():
        steps = run(NAMED["replace"], 300, 1, 400, outcomes=outcomes)["iterations_to_collapse"]
        assert abs(steps.mean() / 300 - factor) < 5 * steps.std() / 20 / 300 + 0.02


@pytest.mark.parametrize("iterations", [1, 7, 40])
def test_collapse_may_come_within_or_beyond_the_record(iterations):
    """The same law however much of the chain is recorded; agreeing with the record."""
    metrics = run(NAMED["replace"], 10, iterations, 1500, outcomes=3)
    steps = metrics["iterations_to_collapse"]
    assert_within(steps, theory.iterations_to_collapse(10, theory.uniform(3)).mean)
    for t in range(1, iterations + 1):
        np.testing.assert_array_equal(metrics["support"][:, t - 1] == 1, steps <= t)


def test_the_cap_gives_up():
    """Within the record and beyond it, to the same iteration."""
    free = run(NAMED["replace"], 10, 5, 300, outcomes=3)["iterations_to_collapse"]
    for cap in (3, 5, 20):
        capped = run(NAMED["replace"], 10, 5, 300, outcomes=3, cap=cap)["iterations_to_collapse"]
        np.testing.assert_array_equal(capped, np.where(free <= cap, free, np.nan))
        assert 0 < np.isnan(capped).sum() < 300


@pytest.mark.parametrize(
    "regime",
    [
        NAMED["accumulate"],
        NAMED["accumulate-subsample"],
        Regime(keep_real=1, memory=1),
        Regime(keep_real=False, memory=2),
        Regime(keep_real=False, memory=1, fresh_real=1),
    ],
)
def test_other_regimes_do_not_go_on_beyond_the_record(regime):
    metrics = run(regime, 10, 6, 200, outcomes=2)
    steps = metrics["iterations_to_collapse"]
    single = metrics["support"] == 1
    first = np.where(single.any(axis=1), 1 + single.argmax(axis=1), np.nan)
    np.testing.assert_array_equal(steps, first)
    assert np.isnan(steps).any()


def test_growing_samples_need_not_collapse():
    """Replacing by ever more samples keeps outcomes alive for good; the chain must still end."""
    growing = Regime(keep_real=False, memory=1, generate="n*1.5^(t-1)")
    steps = run(growing, 10, 2, 50, outcomes=2, cap=2000)["iterations_to_collapse"]
    assert np.isnan(steps).any()
    multiple = run(NAMED["replace-multiple"], 10, 2, 50, outcomes=2, cap=2000)
    assert np.isnan(multiple["iterations_to_collapse"]).any()


@given(
    counts=st.lists(st.integers(0, 50), min_size=2, max_size=8).filter(any),
)
def test_bounds_of_the_metrics(counts):
    chain = Simulator(Parameters(outcomes=len(counts)), 10, Streams("d", "p", "r", [0]))
    metrics = chain.evaluate(Counts(np.array([counts]), np.array([sum(counts)])))
    support = np.count_nonzero(counts)
    assert metrics["support"][0] == support
    assert 0 <= metrics["entropy"][0] <= np.log(support) + 1e-12
    assert -1e-12 <= metrics["gini_simpson"][0] <= 1 - 1 / support + 1e-12
    assert (metrics["entropy"][0] == 0) == (support == 1)
    assert not np.signbit(metrics["entropy"][0])


@pytest.mark.parametrize("name", NAMED)
def test_gini_simpson_is_that_of_theory(name):
    metrics = run(NAMED[name], 8, 12, 2000, outcomes=4, cap=12)
    assert_within(
        metrics["gini_simpson"], theory.gini_simpson(NAMED[name], 8, theory.uniform(4), 12)
    )


def test_lost_outcomes_never_return():
    support = run(NAMED["replace"], 10, 30, 100, outcomes=10)["support"]
    assert np.all(np.diff(support, axis=1) <= 0)
    assert support[:, -1].mean() < 2


def test_counts_drawn_at_once_have_the_law_of_counts_of_samples():
    seeds = 3000
    chain = Simulator(Parameters(outcomes=4), 10, Streams("d", "p", "r", range(seeds)))
    model = Counts(np.tile([5, 0, 2, 3], (seeds, 1)), np.full(seeds, 10))
    for statistics in (
        chain.sample_statistics(model, 7, 1),
        chain.summarise(chain.sample(model, 7, 1)),
    ):
        assert (statistics.total == 7).all()
        assert np.all(statistics.counts.sum(axis=1) == 7)
        seen = statistics.counts.sum(axis=0)
        assert seen[1] == 0
        assert chisquare(seen[[0, 2, 3]], 7 * seeds * np.array([0.5, 0.2, 0.3])).pvalue > 1e-4
        variances = statistics.counts.var(axis=0)
        np.testing.assert_allclose(variances, 7 * np.array([0.25, 0, 0.16, 0.21]), rtol=0.12)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, [1, 1, 1]),
        ({"zipf_exponent": 1.0}, [6, 3, 2]),
        ({"probabilities": [0.0, 0.9, 0.1]}, [0, 9, 1]),
    ],
)
def test_real_data_are_of_the_true_distribution(parameters, expected):
    given = Parameters(outcomes=3, **parameters)
    chain = Simulator(given, 10, Streams("d", "p", "r", range(2000)))
    seen = chain.summarise(chain.real(1, 20)).counts.sum(axis=0)
    truth = np.array(expected) / sum(expected)
    np.testing.assert_allclose(truth_of(given), truth)
    assert seen[truth == 0].sum() == 0
    assert chisquare(seen[truth > 0], seen.sum() * truth[truth > 0]).pvalue > 1e-4


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"outcomes": 3, "probabilities": [[0.5, 0.5]]}, "as many as outcomes, 3"),
        ({"outcomes": 2, "probabilities": [[0.5, 0.6]]}, "numbers that are not negative and add"),
        ({"outcomes": 2, "probabilities": [[1.5, -0.5]]}, "numbers that are not negative and add"),
        ({"outcomes": 2, "probabilities": [[0.5, 0.5], [0.5, 0.5]]}, "it once"),
        (
            {"outcomes": 2, "probabilities": [[0.5, 0.5]], "zipf_exponent": 1.0},
            "no exponent beside",
        ),
    ],
)
def test_starts_that_can_not_be_are_refused(given, said, tmp_path):
    assert f", expected {said}" in refused(tmp_path, "discrete", grid=given)


def test_starts_are_axes_of_a_study(tmp_path):
    """A list of probabilities has a name in paths, and a place in the dataset."""
    grid = {"outcomes": 2, "probabilities": [[0.5, 0.5], [0.9, 0.1]]}
    plan = gathering.study(
        family="discrete", regimes=["replace"], samples=10, seeds=3, grid=grid, iterations=2
    )
    names = [spec.point for spec in plan.chains("loop")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.+@=-]+", name) for name in names) and len(set(names)) == 2
    dataset = gathering.gather(plan)
    for spec in plan.chains("loop"):
        found = values_of(dataset, spec, "mean_outcome")
        np.testing.assert_array_equal(found, run_chain(spec, range(3))["mean_outcome"])
