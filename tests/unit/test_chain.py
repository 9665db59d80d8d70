"""The loop: invariants of every family under every kind of regime."""

from __future__ import annotations

import dataclasses
import tracemalloc
from itertools import product

import numpy as np
import pytest

from collapse import families
from collapse.loop import closed_form
from collapse.loop.closed_form import run_chain
from collapse.regimes import NAMED, Regime, mixture
from collapse.study.chain_spec import ChainSpec

N, ITERATIONS, SEEDS = 10, 6, [0, 1, 2, 3, 4]
REGIMES = {
    **NAMED,
    "window": Regime(keep_real=True, memory=2),
    "window without real": Regime(keep_real=False, memory=3),
    "fresh real": Regime(keep_real=False, memory=1, fresh_real="0.5n"),
    "one fresh": Regime(keep_real=False, memory=1, fresh_real=1),
    "mixture": mixture(4, 7),
    "one real": mixture(1, 7),
    "growing": Regime(keep_real=False, memory=1, generate="n*1.3^(t-1)"),
    "shrinking": Regime(keep_real=True, generate="n*0.6^(t-1)"),
    "nothing generated": Regime(keep_real=True, generate=0),
    "some real in a budget": Regime(keep_real=3, budget="n"),
    "window in a budget": Regime(keep_real=True, memory=2, budget="0.5n"),
    "fresh in a budget": Regime(keep_real=False, memory=2, fresh_real="0.5n", budget="n"),
    "growing budget": Regime(keep_real=True, fresh_real=2, budget="0.7tn"),
}
CASES = {
    "gaussian": ("gaussian", {"dimension": 3}),
    "gaussian in more dimensions than samples": ("gaussian", {"dimension": 20}),
    "regression": ("linear_regression", {"dimension": 3}),
    "regression, fresh design": ("linear_regression", {"dimension": 15, "design": "fresh"}),
    "regression, below threshold": ("linear_regression", {"dimension": 15}),
    "kernel density": ("kernel_density", {"dataset": "blobs", "bandwidth": 0.5}),
    "kernel density, rule": ("kernel_density", {"dataset": "moons", "bandwidth": "scott-scaled"}),
    "tophat": ("kernel_density", {"dataset": "swiss_roll", "kernel": "tophat", "bandwidth": 5.0}),
    "discrete": ("discrete", {"outcomes": 4, "cap": 500}),
}


def specification(case, regime, iterations=ITERATIONS, evaluated=None, samples=N):
    family, parameters = CASES[case]
    every = tuple(range(1, iterations + 1))
    return ChainSpec(
        experiment="e",
        point="p",
        regime_name=regime,
        regime=REGIMES[regime],
        family=family,
        parameters=parameters,
        samples=samples,
        iterations=iterations,
        evaluated=evaluated or every,
    )


def of_all(*pairs):
    """Parametrise over pairs of a case and a regime: all, or those given."""
    return pytest.mark.parametrize(("case", "regime"), pairs or [*product(CASES, REGIMES)])


def assert_same(actual, expected):
    """Assert equality to the last bit, metric by metric."""
    assert actual.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(actual[name], expected[name], err_msg=name)


@of_all()
def test_a_seed_does_not_depend_on_the_others(case, regime, monkeypatch):
    """To the last bit, so that seeds may be added to a study and chains run in batches."""
    together = run_chain(specification(case, regime), SEEDS)
    batches = []
    run_batch = closed_form._run_batch

    def counted(spec, model, streams):
        batches.append(streams.seeds)
        return run_batch(spec, model, streams)

    monkeypatch.setattr(closed_form, "_run_batch", counted)
    monkeypatch.setattr(closed_form, "MEMORY", 1)
    one_by_one = run_chain(specification(case, regime), SEEDS)
    assert batches == [(seed,) for seed in SEEDS]
    assert_same(one_by_one, together)


@of_all(*product(CASES, REGIMES))
def test_a_longer_chain_starts_with_the_shorter(case, regime):
    short = run_chain(specification(case, regime), SEEDS)
    long = run_chain(specification(case, regime, ITERATIONS + 3), SEEDS)
    for name, values in short.items():
        if values.ndim == 2:
            np.testing.assert_array_equal(long[name][:, :ITERATIONS], values, err_msg=name)


@pytest.mark.parametrize("case", CASES)
def test_all_regimes_start_from_the_same_fit(case):
    first = {
        regime: run_chain(specification(case, regime, evaluated=(1,)), SEEDS) for regime in REGIMES
    }
    for metrics in first.values():
        for name, values in first["replace"].items():
            if values.ndim == 2:
                np.testing.assert_array_equal(metrics[name], values, err_msg=name)


@of_all()
def test_what_is_evaluated_does_not_change_the_chain(case, regime):
    every = run_chain(specification(case, regime), SEEDS)
    some = run_chain(specification(case, regime, evaluated=(1, 4, 6)), SEEDS)
    # Densities at test points are then summed in other portions, in single precision.
    tolerance = 1e-5 if "kernel" in case else 0
    for name, values in every.items():
        expected = values[:, [0, 3, 5]] if values.ndim == 2 else values
        np.testing.assert_allclose(some[name], expected, rtol=tolerance, atol=0, err_msg=name)


@of_all()
def test_metrics_are_those_the_family_declares(case, regime):
    spec = specification(case, regime)
    declared = families.load(spec.family).metrics
    metrics = run_chain(spec, SEEDS)
    assert metrics.keys() == declared.keys()
    for name, values in metrics.items():
        expected = (len(SEEDS), ITERATIONS) if declared[name].per_iteration else (len(SEEDS),)
        assert values.shape == expected
        if declared[name].per_iteration:
            assert not np.isnan(values).any()


@pytest.mark.parametrize("budget", [None, "all that is kept"])
def test_smaller_sets_of_real_data_are_the_first_of_larger_ones(budget):
    """So that mixtures of different sizes are nested (docs/reproduction.md, mistake 8)."""
    spec = specification("kernel density", "replace")
    model = families.load("kernel_density")
    streams = closed_form._streams(spec, SEEDS)
    (real,) = model.closed_form.simulator(model.parameters(**spec.parameters), N, streams).real(
        1, N
    )
    for kept in range(2, N + 1):
        size = kept if budget else None
        regime = Regime(keep_real=kept, memory=1, generate=0, budget=size)
        trained = run_chain(dataclasses.replace(spec, regime=regime), SEEDS)["mean_squared_norm"]
        expected = (real[:, :kept] ** 2).sum(axis=2).mean(axis=1)
        np.testing.assert_allclose(trained[:, 1:], np.tile(expected[:, None], ITERATIONS - 1))


def test_every_iteration_draws_its_own_subset():
    """Half of the real data alone, again and again: given the data, no two draws alike."""
    regime = Regime(keep_real=True, generate=0, budget="0.5n")
    spec = dataclasses.replace(specification("gaussian", "replace"), regime=regime)
    means = run_chain(spec, range(2000))["squared_error_of_mean"]
    # Differences from their own mean correlate by -1/4 where five draws have no more in common.
    residual = means[:, 1:] - means[:, 1:].mean(axis=1, keepdims=True)
    correlation = np.corrcoef(residual.T)[np.triu_indices(ITERATIONS - 1, 1)]
    assert np.all(np.abs(correlation + 1 / (ITERATIONS - 2)) < 0.15)


def test_regimes_that_draw_all_of_the_pool_agree():
    """A budget as large as the pool is no draw: both ways through the loop, the same law."""
    REGIMES["all of the pool"] = Regime(keep_real=True, budget="tn")
    try:
        for case in ("gaussian", "discrete"):
            drawn = run_chain(specification(case, "all of the pool"), range(3000))
            whole = run_chain(specification(case, "accumulate"), range(3000))
            for name in ("trace_ratio", "squared_error_of_mean", "entropy"):
                if name in drawn:
                    # Paired by their real data, so the difference has the smaller error.
                    difference = drawn[name] - whole[name]
                    error = difference.std(axis=0) / np.sqrt(3000)
                    assert np.all(np.abs(difference.mean(axis=0)) <= 5 * error)
                    np.testing.assert_array_equal(drawn[name][:, 0], whole[name][:, 0])
    finally:
        del REGIMES["all of the pool"]


def test_a_specification_survives_being_written():
    for regime in REGIMES:
        spec = specification("kernel density", regime, evaluated=(1, 3))
        assert ChainSpec.parse(spec.as_dict()) == spec


@pytest.mark.parametrize("regime", ["accumulate", "accumulate-subsample", "window in a budget"])
@pytest.mark.parametrize("case", ["gaussian in more dimensions than samples", "regression"])
def test_memory_is_bounded_whatever_the_number_of_seeds(case, regime, monkeypatch):
    monkeypatch.setattr(closed_form, "MEMORY", 1_000_000)
    spec = specification(case, regime, iterations=60, evaluated=(60,), samples=50)
    tracemalloc.start()
    try:
        run_chain(spec, range(60))
        assert tracemalloc.get_traced_memory()[1] < 5 * closed_form.MEMORY
    finally:
        tracemalloc.stop()
