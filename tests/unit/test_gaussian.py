"""The Gaussian family: statistics that merge, factors that stay accurate, theory."""

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

import closed_form_chains
from closed_form_chains import assert_within
from collapse.families.gaussian import Parameters, expectations
from collapse.families.gaussian.factors import lower_factor
from collapse.families.gaussian.simulator import Model, Simulator
from collapse.loop import whole_pools as loop
from collapse.loop.writing import Writer
from collapse.regimes import NAMED, Regime
from collapse.seeding import Streams
from collapse.theory import gaussian as theory
from collapse.theory.pairs import variance_fractions, whole_pools

run = functools.partial(closed_form_chains.run, "gaussian")
#: Like replace, but from stored samples.
BUDGET = Regime(keep_real=False, memory=1, budget="n")


def world(dimension, seeds=3, **parameters):
    streams = Streams("gaussian", "p", "r", range(seeds))
    return Simulator(Parameters(dimension=dimension, **parameters), 10, streams)


def square(factor):
    return factor @ factor.transpose(0, 2, 1)


def assert_scatter(factor, values):
    """Assert that a factor is that of the scatter of samples, entry by entry on its own scale."""
    centred = values - values.mean(axis=1, keepdims=True)
    expected = centred.transpose(0, 2, 1) @ centred
    deviation = np.sqrt(np.einsum("sii->si", expected))
    scale = deviation[:, :, None] * deviation[:, None, :]
    assert np.all(np.abs(square(factor) - expected) <= 1e-6 * scale)


@given(
    dimension=st.integers(1, 8),
    real=st.integers(2, 10),
    sizes=st.lists(st.integers(1, 10), min_size=2, max_size=4),
    scales=st.lists(st.sampled_from([1.0, 1e-6, 1e3]), min_size=8, max_size=8),
    seed=st.integers(0, 99),
)
def test_merged_statistics_are_those_of_the_union(dimension, real, sizes, scales, seed):
    """Whatever the rank, of shards of one sample too, and of variances of 1e-12 beside 1e6."""
    chain = world(dimension, seeds=2)
    model = chain.fit(chain.summarise(chain.real(1, real)))
    model = model._replace(factor=model.factor * np.array(scales)[:dimension, None])
    shards = [chain.sample(model, size, seed + 1 + i) for i, size in enumerate(sizes)]
    statistics = chain.summarise(shards[0])
    for shard in shards[1:]:
        statistics = chain.merge(statistics, chain.summarise(shard))
    union = np.concatenate([chain.positions(shard) for shard in shards], axis=1)
    assert (statistics.size == sum(sizes)).all()
    deviation = union.std(axis=1)
    error = np.abs(statistics.mean - union.mean(axis=1))
    assert np.all(error <= 1e-6 * deviation + 1e-15)
    assert_scatter(statistics.factor, union)
    together = tuple(np.concatenate(parts, axis=1) for parts in zip(*shards, strict=True))
    assert_scatter(chain.summarise(together).factor, union)


@given(
    dimension=st.integers(1, 7),
    rank=st.integers(1, 7),
    more=st.integers(0, 5),
    small=st.sampled_from([1.0, 1e-6, 1e-12, 1e-100]),
    seed=st.integers(0, 99),
)
def test_lower_factor(dimension, rank, more, small, seed):
    """F F' = B B', in few columns, lower trapezoidal, also with a degenerate seed beside."""
    rank = min(rank, dimension)
    generator = np.random.default_rng(seed)
    blocks = generator.normal(size=(3, dimension, rank)) @ generator.normal(
        size=(3, rank, rank + more)
    )
    blocks[1] *= small
    blocks[2] = 0
    factor = lower_factor(blocks, rank)
    assert factor.shape == (3, dimension, rank)
    expected = square(blocks)
    scale = np.abs(expected).max(axis=(1, 2), keepdims=True)
    assert np.all(np.abs(square(factor) - expected) <= 1e-9 * scale)
    above = np.triu(np.ones((dimension, rank), dtype=bool), 1)
    assert np.all(np.abs(factor[:, above]) <= 1e-9 * np.sqrt(scale[:, 0]))
    for seed_alone in range(3):
        alone = lower_factor(blocks[seed_alone : seed_alone + 1], rank)
        np.testing.assert_array_equal(alone[0], factor[seed_alone])


@pytest.mark.parametrize("tiny", [1e-3, 1e-6, 1e-9, 1e-12])
def test_determinants_of_almost_dependent_coordinates_are_accurate(tiny):
    chain = world(2, seeds=50)
    values = chain.real(1, 20)[0]
    values[:, :, 1] = values[:, :, 0] + tiny * values[:, :, 1]
    ratio = chain.evaluate(chain.fit(chain.summarise((values,))))["log_determinant_ratio"]
    centred = values - values.mean(axis=1, keepdims=True)
    singular = np.linalg.svd(centred / np.sqrt(20), compute_uv=False)
    # Subtracting the two coordinates leaves that part of the digits.
    tolerance = max(1e-3, 10 * np.finfo(float).eps / tiny)
    np.testing.assert_allclose(ratio, 2 * np.log(singular).sum(axis=1), atol=tolerance)


@pytest.mark.parametrize(("dimension", "count"), [(1, 4), (3, 9), (4, 3), (4, 5), (5, 2), (3, 1)])
def test_statistics_drawn_at_once_have_the_law_of_statistics_of_samples(dimension, count):
    """Exact Wishart moments, and the same law as the scatter of drawn samples."""
    seeds = 4000
    generator = np.random.default_rng(dimension)
    root = np.tril(generator.normal(size=(dimension, dimension)))
    truth = root @ root.T
    centre = generator.normal(size=dimension)
    chain = world(dimension, seeds)
    chain.real(1, 10)
    model = Model(np.tile(centre, (seeds, 1)), np.tile(root, (seeds, 1, 1)), dimension)
    drawn = chain.sample_statistics(model, count, 1)
    samples = chain.positions(chain.sample(model, count, 1))
    mean = samples.mean(axis=1)
    centred = samples - mean[:, None]
    scatters = square(drawn.factor), centred.transpose(0, 2, 1) @ centred
    diagonal = np.diag(truth)
    variance = (count - 1) * (truth**2 + np.outer(diagonal, diagonal))
    for scatter in scatters:
        bound = 5 * np.sqrt(variance / seeds)
        assert np.all(np.abs(scatter.mean(axis=0) - (count - 1) * truth) <= bound)
        np.testing.assert_allclose(scatter.var(axis=0), variance, rtol=0.35)
    for one, other in zip(
        scatters[0].reshape(seeds, -1).T, scatters[1].reshape(seeds, -1).T, strict=True
    ):
        assert ks_2samp(one, other).pvalue > 1e-5
    error = drawn.mean - centre
    products = error[:, :, None] * error[:, None, :]
    assert_within(products.reshape(seeds, -1), (truth / count).ravel())
    if count > 1:
        traces = np.einsum("sii->s", scatters[0])
        assert abs(np.corrcoef((error**2).sum(axis=1), traces)[0, 1]) < 5 / np.sqrt(seeds)


@pytest.mark.parametrize("estimator", ["maximum-likelihood", "unbiased"])
@pytest.mark.parametrize("name", [*NAMED, "window", "fresh", "some real"])
def test_moments_are_those_of_theory(name, estimator):
    more = {
        "window": Regime(keep_real=True, memory=2),
        "fresh": Regime(keep_real=False, memory=1, fresh_real="0.5n"),
        "some real": Regime(keep_real=3, memory=1),
    }
    regime = {**NAMED, **more}[name]
    metrics = run(regime, 8, 20, 1500, dimension=3, variance=4.0, estimator=estimator)
    expected = variance_fractions(regime, 8, 20, estimator)
    assert_within(metrics["trace_ratio"], expected.variance)
    assert_within(metrics["squared_error_of_mean"], expected.squared_error * 3 * 4)


@pytest.mark.parametrize(
    ("regime", "n", "dimension"),
    [
        *((NAMED[name], 8, 3) for name in ("replace", "replace-multiple", "accumulate")),
        (NAMED["replace"], 4, 6),
        (NAMED["accumulate"], 4, 6),
        (BUDGET, 8, 3),
        # The rank falls with the number of samples.
        (Regime(keep_real=False, memory=1, generate="n*0.7^(t-1)"), 10, 5),
        (Regime(keep_real=True, generate=2), 5, 3),
    ],
)
def test_steps_of_the_mean_are_those_of_theory(regime, n, dimension):
    values = run(regime, n, 6, 4000, dimension=dimension, variance=4.0)["squared_step_of_mean"]
    expected = theory.squared_step_of_mean(whole_pools(regime, n, 6), n, dimension)
    assert_within(values, expected.mean)
    np.testing.assert_allclose(values.std(axis=0), expected.deviation, rtol=0.1)


@pytest.mark.parametrize("dimension", [1, 3, 12])
@pytest.mark.parametrize(
    "regime",
    [
        *(NAMED[name] for name in ("replace", "accumulate")),
        Regime(keep_real=False, memory=1, generate=4),
        Regime(keep_real=True, fresh_real=2),  # leaves the span of the model before
    ],
    ids=["replace", "accumulate", "fewer", "fresh"],
)
def test_steps_of_the_mean_are_distances_of_the_means(regime, dimension):
    """By the pseudoinverse of the earlier covariance, as the metric is defined."""
    spec = closed_form_chains.specification(
        "gaussian", regime, 6, 5, dimension=dimension, variance=4.0
    )
    chain = world(dimension, variance=4.0)
    before = chain.before
    for model in loop.models(spec, chain, Writer(spec, chain, chain.streams)):
        difference = model.mean - before.mean
        inverse = np.linalg.pinv(square(before.factor), hermitian=True)
        expected = np.einsum("si,sij,sj->s", difference, inverse, difference)
        np.testing.assert_allclose(
            chain.evaluate(model)["squared_step_of_mean"], expected, rtol=1e-6
        )
        before = model


def test_a_step_of_the_mean_is_missing_only_once_its_rounding_counts():
    """Theory says from when on that may be, and there is no wrong number before."""
    parameters = Parameters(dimension=3, variance=4.0)
    values = run(NAMED["replace"], 6, 120, 500, dimension=3, variance=4.0)["squared_step_of_mean"]
    expected = expectations(parameters, NAMED["replace"], 6, 120)["squared_step_of_mean"]
    resolved = np.isfinite(values)
    assert resolved[:, expected.representable].all()
    assert 10 < np.count_nonzero(expected.representable) < resolved.any(axis=0).sum() < 120
    seeds = resolved.all(axis=0)
    error = expected.deviation[seeds] / np.sqrt(len(values))
    assert np.all(np.abs(values[:, seeds].mean(axis=0) - expected.mean[seeds]) <= 5 * error)


def test_deviations_under_replace_are_those_of_theory():
    """At the first iterations, whose distribution has no heavy tail yet."""
    metrics = run(NAMED["replace"], 10, 4, 8000, dimension=3)
    expected = theory.moments(whole_pools(NAMED["replace"], 10, 4), 10, 3)
    deviation = metrics["trace_ratio"].std(axis=0)
    np.testing.assert_allclose(deviation, expected.trace_ratio_deviation, rtol=0.06)
    deviation = metrics["squared_error_of_mean"].std(axis=0)
    np.testing.assert_allclose(deviation, expected.squared_error_deviation, rtol=0.06)


@pytest.mark.parametrize("regime", [NAMED["replace"], BUDGET], ids=["statistics", "samples"])
def test_determinants_stay_accurate_down_to_any_size(regime):
    """Down to 1e-600 and below, where the determinant itself is no number; from samples too."""
    at, seeds = [1, 10, 100, 400], 200
    metrics = run(regime, 8, 400, seeds, at, dimension=5)
    expected = theory.replace_log_determinant(8, 5, 400)
    ratio = metrics["log_determinant_ratio"]
    rows = np.array(at) - 1
    assert expected.mean[-1] < -600 * np.log(10)
    error = expected.deviation[rows] / np.sqrt(seeds)
    assert np.all(np.abs(ratio.mean(axis=0) - expected.mean[rows]) <= 5 * error)
    np.testing.assert_allclose(ratio.std(axis=0), expected.deviation[rows], rtol=0.2)


def test_the_spread_of_samples_far_from_the_origin_keeps_its_relative_accuracy():
    """Whatever is left of it beside their mean: the same factor as of samples about the origin."""
    chain = world(3, seeds=4)
    chain.one_writer = True
    chain.real(1, 10)
    factor = np.tile(np.diag([1e-20, 1e-40, 1e-100]), (4, 1, 1))
    found = []
    for centre in (0.0, 1.0):
        samples = chain.sample(Model(np.full((4, 3), centre), factor, 3), 12, 1)
        found.append(chain.fit(chain.summarise(samples)).factor)
    assert np.all(np.einsum("sii->si", found[0]) != 0)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-12)


@pytest.mark.parametrize("name", NAMED)
def test_fewer_samples_than_dimensions_go_on(name):
    metrics = run(NAMED[name], 10, 60, 60, dimension=100)
    assert np.all(np.isneginf(metrics["log_determinant_ratio"]))
    assert np.all(metrics["trace_ratio"] > 0)
    # Later traces of replace are so skewed that 60 of them have no useful mean.
    moments = variance_fractions(NAMED[name], 10, 6)
    assert_within(metrics["trace_ratio"][:, :6], moments.variance)
    assert_within(metrics["squared_error_of_mean"][:, :6], 100 * moments.squared_error)


@pytest.mark.parametrize(
    ("regime", "n", "dimension"),
    [
        # The few samples of iteration 1 span a plane, which the many of iteration 2 stay in.
        (Regime(keep_real=2, memory=1, generate="0.1n*2^(t-1)"), 10, 4),
        # A draw may leave out the fresh sample that lies off the plane of the others.
        (Regime(keep_real=True, fresh_real=1, budget="tn"), 3, 3),
    ],
)
def test_a_singular_covariance_has_no_determinant(regime, n, dimension):
    ratio = run(regime, n, 4, 60, dimension=dimension)["log_determinant_ratio"]
    assert np.isneginf(ratio).any()
    assert np.all(np.isneginf(ratio) | (ratio > -50))  # e^-50 is rounding


@pytest.mark.parametrize("name", NAMED)
def test_the_true_variance_only_sets_the_scale(name):
    one, other = (run(NAMED[name], 6, 10, 5, dimension=2, variance=v) for v in (1.0, 1e-4))
    for metric, scale in {"trace_ratio": 1, "squared_error_of_mean": 1e-4}.items():
        np.testing.assert_allclose(other[metric], one[metric] * scale, rtol=1e-9)
    difference = other["log_determinant_ratio"] - one["log_determinant_ratio"]
    assert np.abs(difference).max() < 1e-9
