"""A Gaussian chain step by step agrees with the chain at once, and with theory."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ks_2samp

from collapse.families import gaussian, regime_metrics
from collapse.loop.closed_form import run_chain
from collapse.regimes import NAMED
from stepping import Loop

#: Of regimes that have theory, and of others.
SEEDS = (200, 100)
METRICS = (
    "trace_ratio",
    "squared_error_of_mean",
    "log_determinant_ratio",
    "squared_step_of_mean",
)
#: Its tail is too heavy to compare means and deviations.
BY_DISTRIBUTION = "squared_error_of_covariance"
OWN = {
    "sliding": {"keep_real": [4], "memory": [2], "budget": ["n"]},
    "fed": {"keep_real": [0], "memory": [2], "fresh_real": ["0.5n"]},
    "best": {
        "keep_real": [True], "weigh": {"real": ["1-0.4*t^-1"]},
        "select": {"score": ["distance"], "candidates": [4], "error": [0.2]}},
    "softmax": {
        "keep_real": [True], "weigh": {"score": ["distance"], "power": [-1.0]},
        "select": {"score": ["distance"], "candidates": [4], "rule": ["softmax"],
            "temperature": [0.5]}},
    "threshold": {
        "keep_real": [True], "budget": ["2n"],
        "weigh": {"score": ["distance"], "power": [-0.5], "real": [0.25]},
        "select": {"score": ["log_density"], "candidates": [500], "rule": ["threshold"],
            "threshold": [-6.0], "error": [0.1]}},
    "arriving": {
        "keep_real": [0], "memory": [1], "fresh_real": ["0.5n"], "provenance": ["bernoulli"]},
    "arriving-in-a-budget": {
        "keep_real": [True], "fresh_real": ["n"], "budget": ["n"], "weigh": {"real": [0.5]},
        "provenance": ["bernoulli"]},
}  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def home(tmp_path_factory):
    """Work in one folder, in which all regimes share iteration 1."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("home"))
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


def loop_of(regime, **experiment):
    plan = {"samples": 8, "grid": {"dimension": [3], "variance": [2.0]}, "seeds": SEEDS[0]}
    return Loop(regime=regime, regimes=OWN, **plan | experiment)


def by_steps(loop):
    """Metrics of a chain that runs step by step: arrays (seeds, iterations)."""
    iterations = range(1, loop.branches.experiment.iterations + 1)
    found = []
    for seed in loop.branches.experiment.seed_list:
        paths = [Path(loop.chain(seed).metrics(t)) for t in iterations]
        if not paths[0].exists():
            loop.iterate(1, seed)
        elif not all(Path(shard.path).exists() for shard in loop.chain(seed).shards(1)):
            loop.generate(1, seed)  # this regime needs more samples of it than those before
        for t in iterations[1:]:
            loop.iterate(t, seed)
        found.append([json.loads(path.read_text()) for path in paths])
    of_regime = regime_metrics.of_regime(loop.study.regime_table[loop.regime])
    return {
        name: np.array([[each.get(name, np.nan) for each in row] for row in found])
        for name in (*METRICS, BY_DISTRIBUTION, *of_regime)
    }


def at_once(loop):
    """Metrics of the same chain in one job."""
    (spec,) = loop.study.chains("loop")
    return run_chain(spec, loop.branches.experiment.seed_list)


@pytest.mark.parametrize("dimension", [1, 3, 20])
def test_iteration_1_is_the_same_to_rounding_for_every_seed(dimension):
    """Also with fewer samples than dimensions, where determinants vanish."""
    loop = loop_of("replace", grid={"dimension": [dimension]}, iterations=1, seeds=20)
    steps, chain = by_steps(loop), at_once(loop)
    for name in METRICS:
        np.testing.assert_allclose(steps[name], chain[name], rtol=1e-10)
    assert np.isinf(steps["log_determinant_ratio"]).all() == (dimension == 20)


@pytest.mark.parametrize("regime", [*NAMED, *OWN])
def test_later_iterations_have_the_law_of_the_chain_at_once_and_of_theory(regime):
    """Means over seeds within five standard errors; of theory, at once and step by step.

    Metrics of what the regime did are compared by their distributions.

    The chain at once has 20 times as many seeds, so that its own error hardly counts. Both
    share the real data of their common seeds, which makes them closer, never farther.
    """
    loop = loop_of(regime, seeds=SEEDS[regime in OWN])
    steps = by_steps(loop)
    many = loop_of(regime, seeds=20 * SEEDS[0])
    chain = at_once(many)
    parameters = gaussian.Parameters(dimension=3, variance=2.0)
    expected = gaussian.expectations(parameters, many.chain().regime, 8, 3)
    assert "trace_ratio" in expected or regime in OWN
    root = np.sqrt(len(steps["trace_ratio"]))
    others = steps.keys() - set(METRICS)
    assert others == chain.keys() - set(METRICS)
    for name in others:  # iteration 1 has none of a regime
        for one, other in zip(steps[name].T[1:], chain[name].T[1:], strict=True):
            assert ks_2samp(one.round(9), other.round(9)).pvalue > 1e-5, name
    for name in METRICS:
        if name == "squared_step_of_mean" and name not in expected:
            continue  # nearly singular covariances give it a heavy tail
        error = chain[name].std(axis=0) / root
        assert np.all(np.abs(steps[name].mean(axis=0) - chain[name].mean(axis=0)) < 5 * error)
        ratio = steps[name].std(axis=0) / chain[name].std(axis=0)
        assert np.all((ratio > 0.6) & (ratio < 1.6))
        if name in expected:
            error = np.fmax(error, expected[name].deviation / root)
            assert np.all(np.abs(steps[name].mean(axis=0) - expected[name].mean) < 5 * error)
    # The law is tested, not that nothing happens.
    if regime == "replace":
        assert steps["trace_ratio"].mean(axis=0)[2] < 0.8 * steps["trace_ratio"].mean(axis=0)[0]


@pytest.mark.parametrize("regime", ["replace", "accumulate", "accumulate-subsample"])
def test_a_chain_of_fewer_samples_than_dimensions_keeps_its_rank(regime):
    """Its samples stay in the span of the real ones: the determinant is zero, not rounding."""
    loop = loop_of(regime, samples=4, grid={"dimension": [6]}, seeds=3)
    for found in (by_steps(loop), at_once(loop)):
        assert np.isneginf(found["log_determinant_ratio"]).all()
        assert np.isfinite(found["trace_ratio"]).all()


def test_small_variances_keep_their_accuracy_in_files():
    """A determinant of 1e-87, far below the rounding of the samples' positions."""
    loop = loop_of("replace", samples=3, grid={"dimension": [2]}, iterations=60, seeds=1)
    (found,) = by_steps(loop)["log_determinant_ratio"]
    expected = gaussian.expectations(gaussian.Parameters(dimension=2), NAMED["replace"], 3, 60)
    one = expected["log_determinant_ratio"]
    assert one.mean[-1] < -200
    assert np.all(np.abs(found - one.mean) < 5 * one.deviation)
