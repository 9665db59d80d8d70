"""Kernel density estimation: densities, tallies, buffers, and the growth that theory says."""

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.special import logsumexp
from scipy.stats import kstest
from sklearn.neighbors import KernelDensity

import closed_form_chains
from closed_form_chains import assert_within
from collapse.data import toy
from collapse.families.kernel_density import FAMILY, Parameters
from collapse.families.kernel_density.kernels import log_kernel_sums, log_normaliser
from collapse.families.kernel_density.points import Points
from collapse.families.kernel_density.simulator import Simulator, rule_of_thumb
from collapse.loop.closed_form import run_chain
from collapse.regimes import NAMED, Regime
from collapse.seeding import Streams
from collapse.study import Study
from collapse.theory import kernel_density as theory

run = functools.partial(closed_form_chains.run, "kernel_density", experiment="kde")


def world(seeds=3, **parameters):
    return Simulator(Parameters(**parameters), 10, Streams("kde", "p", "r", range(seeds)))


def exact_sums(points, test, bandwidth, kernel):
    """Brute force in double precision, one seed."""
    distances = cdist(test, points) / bandwidth
    if kernel == "gaussian":
        return logsumexp(-(distances**2) / 2, axis=1)
    with np.errstate(divide="ignore"):
        return np.log((distances < 1).sum(axis=1))


@given(
    dimension=st.sampled_from([2, 3]),
    count=st.integers(1, 300),
    tests=st.integers(1, 60),
    exponent=st.floats(-3, 3),
    offset=st.sampled_from([0.0, 10.0, -1000.0]),
    kernel=st.sampled_from(["gaussian", "tophat"]),
    seed=st.integers(0, 99),
)
def test_kernel_sums_are_exact_at_any_bandwidth(
    dimension, count, tests, exponent, offset, kernel, seed
):
    """Also where every kernel of a test point underflows, and far from the origin."""
    generator = np.random.default_rng(seed)
    points = generator.normal(scale=3, size=(2, count, dimension)) + offset
    test = generator.normal(scale=3, size=(2, tests, dimension)) + offset
    bandwidth = 10**exponent * np.array([1.0, 1.7])
    sums = log_kernel_sums(points, test, bandwidth, kernel)
    for row in range(2):
        exact = exact_sums(points[row], test[row], bandwidth[row], kernel)
        if kernel == "tophat":
            np.testing.assert_allclose(sums[row], exact, rtol=1e-12)
        else:
            np.testing.assert_allclose(sums[row], exact, rtol=1e-6, atol=3e-4)


@pytest.mark.parametrize("order", [1, -1])
def test_test_points_far_from_all_points_keep_their_density(order):
    """Also where the points are summed in many portions, nearer and nearer or farther away."""
    points = np.zeros((1, 5000, 2)) + np.linspace(0, 1, 5000)[::order, None]
    test = np.linspace(0, 1e4, 200)[None, :, None] * np.ones(2)
    sums = log_kernel_sums(points, test, np.array([0.1]), "gaussian")
    exact = exact_sums(points[0], test[0], 0.1, "gaussian")
    np.testing.assert_allclose(sums[0], exact, rtol=1e-12, atol=3e-4)
    assert sums.min() < -1e9


@pytest.mark.parametrize("kernel", ["gaussian", "tophat"])
@pytest.mark.parametrize("dimension", [2, 3])
def test_densities_integrate_to_one(kernel, dimension):
    """On a grid that covers the kernel of a single point."""
    side = np.linspace(-6, 6.03, 121)  # no symmetry with the edge of the ball
    grid = np.stack(np.meshgrid(*[side] * dimension), axis=-1).reshape(1, -1, dimension)
    logarithms = log_kernel_sums(np.zeros((1, 1, dimension)), grid, np.ones(1), kernel)
    density = np.exp(logarithms - log_normaliser(kernel, dimension))
    assert density.sum() * (side[1] - side[0]) ** dimension == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize("bandwidth", [0.5, 1.0, "scott", "silverman"])
@pytest.mark.parametrize("dataset", toy.DIMENSIONS)
def test_likelihoods_and_bandwidths_are_those_of_scikit_learn(dataset, bandwidth):
    chain = world(seeds=2, dataset=dataset, bandwidth=bandwidth)
    samples = chain.real(1, 1000)
    model = chain.fit(chain.summarise(samples))
    values = chain.evaluate(model)["test_nll"]
    for seed in range(2):
        estimate = KernelDensity(bandwidth=bandwidth).fit(samples[0][seed])
        assert model.bandwidth[seed] == pytest.approx(estimate.bandwidth_)
        scores = estimate.score_samples(chain.test[seed])
        assert values[seed] == pytest.approx(-scores.mean(), rel=1e-3)


@given(
    st.lists(st.integers(1, 20), min_size=1, max_size=6),
    st.lists(st.booleans(), min_size=6, max_size=6),
    st.sampled_from(["gaussian", "tophat"]),
)
def test_a_tally_adds_up_to_a_fit_from_scratch(sizes, evaluated, kernel):
    """Whether or not the model was evaluated in between."""
    chain = world(dataset="moons", bandwidth=0.7, kernel=kernel)
    shards = [chain.real(1 + i, size)[0] for i, size in enumerate(sizes)]
    pool = chain.summarise((shards[0],))
    for shard, now in zip(shards[1:], evaluated, strict=False):
        arriving = chain.summarise((shard,))
        if now:
            chain.evaluate(chain.fit(pool))
            chain.evaluate(chain.fit(arriving))
        pool = chain.merge(pool, arriving)
    scratch = chain.summarise((np.concatenate(shards, axis=1),))
    merged, whole = (chain.evaluate(chain.fit(points)) for points in (pool, scratch))
    for name in whole:
        np.testing.assert_allclose(merged[name], whole[name], rtol=1e-5, err_msg=name)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), max_size=8))
def test_a_union_never_alters_a_set_that_is_still_in_use(unions):
    """Buffers are shared: appending to two branches must not mix them."""
    generator = np.random.default_rng(0)
    sets, expected = [], []
    # The first leaves room for the others at the end of its buffer.
    for size in (20, 2, 3):
        values = generator.normal(size=(2, size, 2))
        sets.append(Points.of(values.copy()))
        expected.append(values)
    for one, other in unions:
        one, other = one % len(sets), other % len(sets)
        sets.append(sets[one].union(sets[other]))
        expected.append(np.concatenate((expected[one], expected[other]), axis=1))
    for points, values in zip(sets, expected, strict=True):
        np.testing.assert_array_equal(points.points, values)
        mean = values.mean(axis=1)
        np.testing.assert_allclose(points.mean, mean, atol=1e-12)
        spread = ((values - mean[:, None]) ** 2).sum(axis=(1, 2))
        np.testing.assert_allclose(points.spread, spread, rtol=1e-9, atol=1e-12)


def test_a_tophat_that_misses_a_test_point_has_infinite_likelihood():
    metrics = run(NAMED["accumulate"], 10, 5, 20, kernel="tophat", bandwidth=0.2)["test_nll"]
    assert np.all(np.isposinf(metrics))
    wide = run(NAMED["accumulate"], 10, 1, 20, kernel="tophat", bandwidth=10.0)["test_nll"]
    # All points are within reach of all others: the logarithm of the area of the disc.
    np.testing.assert_allclose(wide, np.log(np.pi * 100), rtol=1e-12)


@pytest.mark.parametrize("kernel", ["gaussian", "tophat"])
@pytest.mark.parametrize("dimension", [2, 3])
def test_samples_are_points_displaced_by_the_kernel(kernel, dimension):
    """From a single point: the coordinates have the law of the kernel's marginals."""
    chain = world(
        seeds=2, dataset={2: "moons", 3: "swiss_roll"}[dimension], bandwidth=2.0, kernel=kernel
    )
    model = chain.fit(chain.summarise((np.full((2, 1, dimension), 7.0),)))
    steps = (chain.sample(model, 20_000, 1)[0][0] - 7.0) / 2.0
    if kernel == "gaussian":
        for column in steps.T:
            assert kstest(column, "norm").pvalue > 1e-5
        return
    radii = np.linalg.norm(steps, axis=1)
    assert radii.max() <= 1
    assert kstest(radii**dimension, "uniform").pvalue > 1e-5
    variances = steps.var(axis=0)
    assert np.all(np.abs(variances * (dimension + 2) - 1) < 5 * np.sqrt(2 / 20_000))


def test_samples_come_from_all_points_alike():
    chain = world(seeds=1, bandwidth=1e-6)
    model = chain.fit(chain.summarise((np.arange(7.0)[None, :, None] * np.ones(2),)))
    counts = np.bincount(chain.sample(model, 70_000, 1)[0][0, :, 0].round().astype(int))
    assert np.all(np.abs(counts - 10_000) < 5 * np.sqrt(10_000 * 6 / 7))


@pytest.mark.parametrize("kernel", ["gaussian", "tophat"])
@pytest.mark.parametrize("name", [*NAMED, "window", "some real"])
def test_the_second_moment_grows_as_theory_says(name, kernel):
    """Under replace by h² per dimension and iteration; paired with the real data."""
    more = {
        "window": Regime(keep_real=True, memory=2),
        "some real": Regime(keep_real=4, memory=1),
    }
    regime, iterations, seeds, h = {**NAMED, **more}[name], 8, 600, 0.6
    metrics = run(regime, 8, iterations, seeds, dataset="moons", bandwidth=h, kernel=kernel)
    variance = {"gaussian": 1.0, "tophat": 1 / 4}[kernel]
    expected = theory.mean_squared_norm_excess(regime, 8, [h] * iterations, 2, iterations, variance)
    if name == "replace":
        assert np.allclose(expected, variance * h**2 * 2 * np.arange(iterations))
    norm = metrics["mean_squared_norm"]
    excess = norm - norm[:, :1]
    error = excess.std(axis=0, ddof=1) / np.sqrt(seeds)
    assert np.all(np.abs(excess.mean(axis=0) - expected) <= 5 * error)


def test_with_independent_points_fresh_shards_of_any_size_have_theory():
    regime = Regime(keep_real=False, memory=1, fresh_real="0.5n")
    assert FAMILY.expectations(Parameters(), regime, 10, 5) == {}
    parameters = Parameters(points="independent")
    expected = FAMILY.expectations(parameters, regime, 10, 5)["mean_squared_norm"]
    norm = run(regime, 10, 5, 1000, points="independent")["mean_squared_norm"]
    assert_within(norm - norm[:, :1], expected.mean)


@pytest.mark.parametrize(
    ("points", "samples", "nll", "error"),
    [
        # Moons at h = 0.1: values and standard errors over 100 seeds of an independent audit.
        ("even", 10, 2.36, 0.01),
        ("independent", 10, 7.36, 0.18),
        ("even", 32, 0.79, 0.01),
        ("independent", 32, 1.52, 0.06),
        ("even", 100, 0.73, 0.01),
        ("independent", 100, 0.82, 0.01),
    ],
)
def test_the_first_fit_is_better_where_real_points_are_an_even_grid(points, samples, nll, error):
    found = run(NAMED["replace"], samples, 1, 300, bandwidth=0.1, points=points)["test_nll"][:, 0]
    error = np.hypot(error, found.std(ddof=1) / np.sqrt(300))
    assert abs(found.mean() - nll) < 4 * error


@pytest.mark.parametrize(("dataset", "said"), [("moons", True), ("swiss_roll", False)])
def test_captions_say_what_evenly_spaced_points_do_to_the_first_fit(dataset, said):
    assert ("Iteration 1" in FAMILY.remark(Parameters(dataset=dataset))) == said
    assert not FAMILY.remark(Parameters(dataset=dataset, points="independent"))


@pytest.mark.parametrize("dataset", toy.DIMENSIONS)
@pytest.mark.parametrize(
    ("name", "points"),
    [
        ("replace", "even"),
        ("accumulate", "even"),
        ("window", "even"),
        ("accumulate", "independent"),
    ],
)
def test_densities_at_real_points_are_those_of_theory(name, points, dataset):
    """And the variance of the points, given the real ones."""
    regime = {**NAMED, "window": Regime(keep_real=3, memory=2, budget="n")}[name]
    bandwidth, seeds = {"swiss_roll": 1.0}.get(dataset, 0.2), 600
    given = {"dataset": dataset, "bandwidth": bandwidth, "points": points}
    metrics = run(regime, 8, 5, seeds, **given)
    parameters = Parameters(**given)
    found = FAMILY.expectations(parameters, regime, 8, 5)
    assert_within(metrics["mean_density"], found["mean_density"].mean)
    variance, expected = metrics["point_variance"], found["point_variance"]
    rest = variance - expected.of_first * variance[:, :1]
    assert_within(rest[:, 1:], expected.mean[1:])
    if found["mean_density"].spread == "least":
        spread = metrics["mean_density"].std(axis=0, ddof=1)
        assert np.all(spread > 0.9 * found["mean_density"].deviation)


@given(st.integers(2, 10**6), st.sampled_from([2, 3]))
def test_rules_shrink_as_they_should(count, dimension):
    for rule in ("scott", "silverman"):
        ratio = rule_of_thumb(rule, count, dimension) / rule_of_thumb(rule, 2 * count, dimension)
        assert ratio == pytest.approx(2 ** (1 / (dimension + 4)))


@pytest.mark.parametrize("rule", ["scott", "silverman"])
def test_scaled_rules_follow_the_spread_of_the_data(rule):
    chain, plain = (world(bandwidth=name) for name in (f"{rule}-scaled", rule))
    (values,) = chain.real(1, 50)
    for scale in (1.0, 20.0):
        points = chain.summarise((scale * values,))
        spread = scale * np.sqrt(values.var(axis=1).mean(axis=1))
        expected = plain.fit(points).bandwidth * spread
        np.testing.assert_allclose(chain.fit(points).bandwidth, expected)


def test_replacing_diverges_where_accumulating_hardly_moves():
    """P2's finding, as far as 60 iterations go (docs/theory/kernel_density.md)."""
    growth = {}
    for name in ("replace", "accumulate"):
        values = run(NAMED[name], 30, 60, 20, dataset="moons", bandwidth=0.5)["test_nll"]
        growth[name] = (values[:, -1] - values[:, 0]).mean()
    assert growth["replace"] > 1
    assert growth["accumulate"] < growth["replace"] / 3


def test_a_density_that_shrank_to_points_is_infinitely_unlikely():
    plan = Study.model_validate(
        {
            "experiments": {
                "e": {
                    "family": "kernel_density",
                    "regimes": ["replace"],
                    "iterations": 400,
                    "seeds": 5,
                    "samples": 2,
                    "grid": {"bandwidth": ["scott-scaled"]},
                }
            }
        }
    )
    (spec,) = plan.chains("e")
    nll = run_chain(spec, range(5))["test_nll"]
    assert not np.isnan(nll).any()
    assert np.isposinf(nll[:, -1]).all()
    assert np.isfinite(nll[:, 0]).all()
