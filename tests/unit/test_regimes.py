"""Regimes: what is in a pool, how much of it is trained on, and what is refused."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import chisquare, hypergeom

from collapse.regimes import NAMED, Regime, Source, draw_counts, draw_positions, mixture, samples_in

SIZES = st.integers(0, 20) | st.sampled_from(
    ["n", "0.5n", "tn", "0.25tn", "n*1.1^(t-1)", "n*t^1.5"]
)
REGIMES = st.builds(
    Regime,
    keep_real=st.booleans() | st.integers(0, 5),
    memory=st.none() | st.integers(1, 6),
    generate=SIZES,
    fresh_real=SIZES,
)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        *((7, [7, 7, 7]), ("n", [10, 10, 10]), ("0.5n", [5, 5, 5]), ("0.25n", [3, 3, 3])),
        *(("tn", [10, 20, 30]), ("0.5tn", [5, 10, 15]), ("n*1.1^(t-1)", [10, 11, 12])),
        *(("n*0.5^(t-1)", [10, 5, 3]), ("2n*3^(t-1)", [20, 60, 180])),
    ],
)
def test_sizes_mean_what_they_say(size, expected):
    assert [samples_in(size, 10, t) for t in (1, 2, 3)] == expected
    Regime(keep_real=True, generate=size)


@pytest.mark.parametrize(
    "size", ["", "nt", "-n", "n*1.1", "1.n", "n^2", "t", "n ", "n\n", 1.5, -1, True, "n*-1^(t-1)"]
)
def test_other_sizes_are_refused(size):
    with pytest.raises(ValidationError):
        Regime(keep_real=True, generate=size)


def test_named_regimes_are_those_of_the_papers():
    n, t = 10, 4
    real = Source("real", 1, n)
    written = [Source("synthetic", i, n) for i in (1, 2, 3)]
    pools = {
        "replace": (written[-1],),
        "accumulate": (real, *written),
        "accumulate-subsample": (real, *written),
        "replace-multiple": (Source("synthetic", 3, t * n),),
    }
    trained_on = {"replace": n, "accumulate": 4 * n, "accumulate-subsample": n}
    for name, regime in NAMED.items():
        assert regime.pool(t, n) == pools[name]
        assert regime.training_size(t, n, regime.pool_sizes(t, n)[-1]) == trained_on.get(
            name, t * n
        )


@given(REGIMES, st.integers(1, 12), st.integers(1, 12))
def test_where_trainings_start_changes_no_pool_and_no_mixture_starts_from_a_model(regime, t, n):
    other = regime.model_copy(update={"start": "previous"})
    assert other.pool(t, n) == regime.pool(t, n) and not other.is_mixture
    assert other.as_dict() == {**regime.as_dict(), "start": "previous"}
    assert [Regime(**each.as_dict()) for each in (regime, other)] == [regime, other]
    assert "start" not in regime.as_dict()


@given(REGIMES, st.none() | SIZES, st.integers(1, 12), st.integers(1, 12))
def test_pool_sizes_are_the_sizes_of_the_pools(regime, budget, iterations, n):
    assume(regime.kept_real(n) <= n)
    regime = regime.model_copy(update={"budget": budget})
    pools = [regime.pool(t, n) for t in range(1, iterations + 1)]
    sizes = regime.pool_sizes(iterations, n)
    assert sizes == [sum(s.size for s in pool) for pool in pools]
    trained = [regime.training_size(t, n, size) for t, size in enumerate(sizes, start=1)]
    assert regime.training_sizes(iterations, n) == trained
    for pool in pools:
        assert all(source.size > 0 for source in pool)
        assert len({(source.kind, source.iteration) for source in pool}) == len(pool)


@given(REGIMES, st.integers(2, 12), st.integers(1, 12))
def test_a_pool_holds_the_past_as_far_back_as_the_memory(regime, t, n):
    oldest = 1 if regime.memory is None else t - regime.memory
    for kind, iteration, size in regime.pool(t, n):
        if kind == "real":
            assert (iteration, size) == (1, regime.kept_real(n))
        elif kind == "synthetic":
            assert max(1, oldest) <= iteration < t
            assert size == regime.generated(iteration + 1, n)
        else:
            assert max(2, oldest + 1) <= iteration <= t
            assert size == regime.fresh(iteration, n)


@given(REGIMES, SIZES, st.integers(1, 12))
def test_iteration_1_trains_on_the_real_data_alone(regime, budget, n):
    regime = regime.model_copy(update={"budget": budget})
    assert regime.pool(1, n) == (Source("real", 1, n),)
    assert regime.training_size(1, n, n) == n


@given(REGIMES, st.integers(2, 12), st.integers(1, 12))
def test_generated_from_yields_what_generated_says(regime, t, n):
    ahead = list(itertools.islice(regime.generated_from(t, n), 5))
    assert ahead == [regime.generated(later, n) for later in range(t, t + 5)]


def test_window_and_fresh_real_data():
    regime = Regime(keep_real=3, memory=2, fresh_real="0.5n")
    assert regime.pool(5, 10) == (
        Source("real", 1, 3),
        Source("synthetic", 3, 10),
        Source("fresh", 4, 5),
        Source("synthetic", 4, 10),
        Source("fresh", 5, 5),
    )


def test_mixture_is_what_it_says():
    assert mixture(4, 7).pool(2, 10) == (Source("real", 1, 4), Source("synthetic", 1, 7))
    assert mixture(0, 7).pool(2, 10) == (Source("synthetic", 1, 7),)
    assert mixture(4, 0).pool(2, 10) == (Source("real", 1, 4),)


POOLS = st.lists(st.integers(1, 30), min_size=1, max_size=8)


@given(POOLS, st.data())
def test_a_draw_takes_exactly_its_budget_and_no_sample_twice(sizes, data):
    pool = tuple(Source("synthetic", i, size) for i, size in enumerate(sizes, start=1))
    budget = data.draw(st.integers(0, sum(sizes)))
    generator = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    counts = draw_counts(pool, budget, generator)
    assert counts.sum() == budget
    assert np.all((counts >= 0) & (counts <= sizes))
    positions = draw_positions(sum(sizes), budget, generator)
    assert len(np.unique(positions)) == len(positions) == budget
    assert np.all((positions >= 0) & (positions < sum(sizes)))


def test_both_ways_to_draw_have_the_same_law():
    """Each against the exact marginals and the exact covariance of two sources."""
    sizes, budget, draws = np.array([3, 8, 1, 12]), 7, 20_000
    pool = tuple(Source("synthetic", i, size) for i, size in enumerate(sizes, start=1))
    edges = np.append(0, np.cumsum(sizes))
    generator = np.random.default_rng(1)
    ways = {
        "counts": lambda: draw_counts(pool, budget, generator),
        "positions": lambda: np.histogram(draw_positions(24, budget, generator), edges)[0],
    }
    for name, draw in ways.items():
        counts = np.array([draw() for _ in range(draws)])
        for source, size in enumerate(sizes):
            law = hypergeom(sizes.sum(), size, budget).pmf(np.arange(budget + 1))
            seen = np.bincount(counts[:, source], minlength=budget + 1)
            common = law * draws > 5
            rest = draws - seen[common].sum()
            observed, expected = np.append(seen[common], rest), law[common] * draws
            expected = np.append(expected, draws - expected.sum())
            some = expected > 1e-6
            assert observed[~some].sum() == 0, name
            assert chisquare(observed[some], expected[some]).pvalue > 1e-4, (name, source)
        product = (counts[:, 1] - budget * 8 / 24) * (counts[:, 3] - budget * 12 / 24)
        exact = -budget * (8 / 24) * (12 / 24) * (24 - budget) / 23
        assert abs(product.mean() - exact) < 5 * product.std() / np.sqrt(draws), name


def test_every_sample_of_the_pool_is_as_likely():
    draws, pool, budget = 20_000, 9, 4
    generator = np.random.default_rng(2)
    seen = np.bincount(
        np.concatenate([draw_positions(pool, budget, generator) for _ in range(draws)]),
        minlength=pool,
    )
    error = np.sqrt(draws * budget / pool * (1 - budget / pool))
    assert np.all(np.abs(seen - draws * budget / pool) < 5 * error)


@pytest.mark.parametrize(
    ("regime", "words"),
    [
        (Regime(keep_real=11), ["keep_real is 11", "samples = 10"]),
        (Regime(keep_real=True, budget=21), ["budget is 21 at iteration 2", "20 in the pool"]),
        (Regime(keep_real=False, memory=1, budget="tn"), ["budget is 20 at iteration 2"]),
        (Regime(keep_real=False, generate=0), ["iteration 2 has 0 samples"]),
        (Regime(keep_real=False, memory=1, generate="n*0.5^(t-1)"), ["iteration 4 has 1 samples"]),
        (Regime(keep_real=True, budget=1), ["iteration 2 has 1 samples", "fewer than 2"]),
        (mixture(0, 1), ["iteration 2 has 1 samples"]),
    ],
)
def test_check_refuses_what_no_chain_could_do(regime, words):
    with pytest.raises(ValueError, match=r".") as refusal:
        regime.check(5, 10, minimum=2)
    assert all(word in str(refusal.value) for word in words)


def test_check_accepts_what_a_chain_can_do():
    for regime in [*NAMED.values(), mixture(10, 3), Regime(keep_real=True, budget="tn")]:
        regime.check(50, 10, minimum=2)


def test_check_refuses_sizes_beyond_all_numbers():
    """A growth that overflows is a mistake of the study, so a ValueError too."""
    with pytest.raises(ValueError, match="samples"):
        Regime(keep_real=False, memory=1, generate="n*1000^(t-1)").check(400, 10)


@pytest.mark.parametrize("wrong", [{"unknown": 1}, {"memory": 0}, {"budget": -1}])
def test_wrong_fields_are_refused(wrong):
    with pytest.raises(ValidationError):
        Regime(keep_real=True, **wrong)


@pytest.mark.parametrize("wrong", [{}, {"keep_real": "yes"}])
def test_what_is_kept_of_the_real_data_must_be_said(wrong):
    with pytest.raises(ValidationError):
        Regime(**wrong)
