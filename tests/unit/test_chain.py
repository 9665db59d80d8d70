"""The loop of chains in closed form; what it does with every family, `contract` checks."""

import dataclasses
import tracemalloc

import numpy as np
import pytest

from collapse import families
from collapse.loop import closed_form
from collapse.loop.closed_form import run_chain
from collapse.regimes import NAMED, Regime, Select
from collapse.seeding import Streams
from collapse.study.chain_spec import ChainSpec
from contract.examples import ITERATIONS, REGIMES, SAMPLES, specification

SEEDS = [0, 1, 2, 3, 4]
DENSITY = {"dataset": "blobs", "bandwidth": 0.5}


OF_LOOPS = {
    "accumulate": NAMED["accumulate"],
    "accumulate-subsample": NAMED["accumulate-subsample"],
    "drawn by weight": Regime(keep_real=True, budget="n", weigh={"real": 0.3}),
    "drawn by score": Regime(keep_real=True, budget="n", weigh={"score": "distance"}),
    "selected": Regime(
        keep_real=True, budget=3, select={"score": "distance", "candidates": 2, "error": 0.5}
    ),
    "real at random": Regime(keep_real=0, fresh_real="n", memory=2, provenance="bernoulli"),
}


@pytest.mark.parametrize("name", OF_LOOPS)
def test_seeds_run_in_batches_as_memory_allows(name, monkeypatch):
    spec = specification("gaussian", {"dimension": 3}, "accumulate")
    spec = dataclasses.replace(spec, regime=OF_LOOPS[name])
    together, batches = run_chain(spec, SEEDS), []
    run_batch = closed_form._run_batch

    def counted(spec, set_up, seeds, at_once):
        batches.append(seeds)
        return run_batch(spec, set_up, seeds, at_once)

    monkeypatch.setattr(closed_form, "_run_batch", counted)
    monkeypatch.setattr(closed_form, "MEMORY", 1)
    one_by_one = run_chain(spec, SEEDS)
    assert list(map(tuple, batches)) == [(seed,) for seed in SEEDS]
    for name, values in together.items():
        np.testing.assert_array_equal(one_by_one[name], values, err_msg=name)


def test_candidates_that_are_drawn_at_once_count_for_the_memory_of_a_batch(monkeypatch):
    monkeypatch.setattr(closed_form, "ROUND", 4)
    spec = specification("gaussian", {"dimension": 3}, "accumulate")

    def rows(at_once, **select):
        select = Select(score="distance", candidates=50, **select)
        regime = Regime(keep_real=False, memory=1, select=select)
        return closed_form._rows_in_memory(dataclasses.replace(spec, regime=regime), at_once)

    n = spec.samples
    assert rows(10**6) >= 2 * 50 * n
    assert rows(10**6, rule="threshold", threshold=1.0) == rows(10**6) - 2 * 46 * n
    assert rows(3 * n) == rows(10**6) - 2 * 47 * n


@pytest.mark.parametrize("budget", [None, "all that is kept"])
def test_smaller_sets_of_real_data_are_the_first_of_larger_ones(budget):
    """So that mixtures of different sizes are nested (docs/reproduction.md, mistake 8)."""
    spec = specification("kernel_density", DENSITY, "replace")
    model = families.load("kernel_density")
    streams = Streams(spec.experiment, spec.point, spec.regime_name, SEEDS)
    simulator = model.closed_form.simulator(model.parameters(**DENSITY), SAMPLES, streams)
    (real,) = simulator.real(1, SAMPLES)
    for kept in range(2, SAMPLES + 1):
        size = kept if budget else None
        regime = Regime(keep_real=kept, memory=1, generate=0, budget=size)
        trained = run_chain(dataclasses.replace(spec, regime=regime), SEEDS)["mean_squared_norm"]
        expected = (real[:, :kept] ** 2).sum(axis=2).mean(axis=1)
        np.testing.assert_allclose(trained[:, 1:], np.tile(expected[:, None], ITERATIONS - 1))


def test_every_iteration_draws_its_own_subset():
    """Half of the real data alone, again and again: given the data, no two draws alike."""
    regime = Regime(keep_real=True, generate=0, budget="0.5n")
    spec = specification("gaussian", {"dimension": 3}, regime)
    means = run_chain(spec, range(2000))["squared_error_of_mean"]
    # Differences from their own mean correlate by -1/4 where five draws have no more in common.
    residual = means[:, 1:] - means[:, 1:].mean(axis=1, keepdims=True)
    correlation = np.corrcoef(residual.T)[np.triu_indices(ITERATIONS - 1, 1)]
    assert np.all(np.abs(correlation + 1 / (ITERATIONS - 2)) < 0.15)


def test_regimes_that_draw_all_of_the_pool_agree():
    """A budget as large as the pool is no draw: both ways through the loop, the same law."""
    for family, parameters in (("gaussian", {"dimension": 3}), ("discrete", {"outcomes": 4})):
        drawn, whole = (
            run_chain(specification(family, parameters, regime), range(3000))
            for regime in (Regime(keep_real=True, budget="tn"), "accumulate")
        )
        for name in {"trace_ratio", "squared_error_of_mean", "entropy"} & set(drawn):
            # Paired by their real data, so the difference has the smaller error.
            difference = drawn[name] - whole[name]
            error = difference.std(axis=0) / np.sqrt(3000)
            assert np.all(np.abs(difference.mean(axis=0)) <= 5 * error)
            np.testing.assert_array_equal(drawn[name][:, 0], whole[name][:, 0])


def test_a_specification_survives_being_written():
    for regime in REGIMES:
        spec = specification("kernel_density", DENSITY, regime, evaluated=(1, 3))
        assert ChainSpec.parse(spec.as_dict()) == spec


@pytest.mark.parametrize("regime", ["accumulate-subsample", "window in a budget"])
@pytest.mark.parametrize(
    ("family", "dimension", "seeds"), [("gaussian", 20, 60), ("linear_regression", 3, 200)]
)
def test_memory_is_bounded_whatever_the_number_of_seeds(
    family, dimension, seeds, regime, monkeypatch
):
    """All seeds at once would take 7 MB or more."""
    monkeypatch.setattr(closed_form, "MEMORY", 1_000_000)
    spec = specification(family, {"dimension": dimension}, regime, 30, (30,), samples=50)
    tracemalloc.start()
    try:
        run_chain(spec, range(seeds))
        assert tracemalloc.get_traced_memory()[1] < 5 * closed_form.MEMORY
    finally:
        tracemalloc.stop()
