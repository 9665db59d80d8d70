"""How often the check blames right simulations, and that it sees wrong ones."""

import numpy as np
import pytest

from collapse.families import discrete, gaussian, kernel_density, linear_regression
from collapse.loop.closed_form import run_chain
from collapse.results import comparisons, theory_verdicts
from collapse.results.comparisons import Compared
from collapse.seeding import Streams
from collapse.study import Study

THREE = ["replace", "accumulate", "accumulate-subsample"]
STUDIES = {
    "gaussian": {"samples": [5, 12], "grid": {"dimension": [1, 3]}, "iterations": 12},
    "discrete": {"samples": [10, 30], "grid": {"outcomes": [2, 10]}, "iterations": 12},
    # Two rows from the interpolation threshold, where the variance is infinite, and farther.
    "linear_regression": {"samples": [12, 30], "grid": {"dimension": [3, 10]}, "iterations": 12},
    "kernel_density": {
        "samples": [8, 16],
        "grid": {"dataset": ["swiss_roll", "moons"], "bandwidth": 0.1},
        "iterations": 4,
    },
}


def chains(family, regimes, seeds, **experiment):
    plan = {"family": family, "regimes": regimes, "seeds": seeds, **experiment}
    return Study.model_validate({"experiments": {"e": plan}}).chains("e")


def simulated(specs, seeds):
    """Specifications with their expectations and simulated metrics."""
    return [(spec, comparisons.expectations(spec), run_chain(spec, range(seeds))) for spec in specs]


def judge(results, rows=slice(None)):
    """Return the verdicts on a study of some of the seeds."""
    return theory_verdicts.judge(
        [
            Compared(
                spec,
                spec.regime_name,
                metric,
                one.source,
                comparisons.compare(metrics[metric][rows], one, spec.point),
            )
            for spec, found, metrics in results
            for metric, one in found.items()
            if one.exact
        ]
    )


@pytest.mark.parametrize("family", STUDIES)
def test_right_simulations_seldom_disagree(family, monkeypatch):
    """At 2 to 100 seeds; a study in ten is promised here, to see more than that nothing happens."""
    monkeypatch.setattr(theory_verdicts, "FALSE_ALARM", 0.1)
    results = simulated(chains(family, THREE, 300, **STUDIES[family]), 300)
    few, studies, alarms = {2: 30, 3: 20, 5: 20, 10: 20, 100: 3}, 0, 0
    for seeds, repeated in few.items():
        for start in range(0, repeated * seeds, seeds):
            verdicts = judge(results, slice(start, start + seeds))["verdict"]
            studies, alarms = studies + 1, alarms + (verdicts == "DISAGREES").any()
    assert alarms <= 0.1 * studies
    assert set(judge(results)["verdict"]) <= {"agrees", "infinite variance"}


def mean_noise(monkeypatch):
    """The noise of a Gaussian's mean is 1 % too small."""
    drawn = gaussian.Simulator.sample_statistics

    def wrong(self, model, count, iteration):
        statistics = drawn(self, model, count, iteration)
        return statistics._replace(mean=model.mean + 0.99 * (statistics.mean - model.mean))

    monkeypatch.setattr(gaussian.Simulator, "sample_statistics", wrong)


def label_noise(monkeypatch):
    """The noise of labels is 1 % too large."""
    set_up = linear_regression.simulator._Regression.__init__

    def wrong(self, *arguments):
        set_up(self, *arguments)
        self.noise *= 1.01

    monkeypatch.setattr(linear_regression.simulator._Regression, "__init__", wrong)


def without_replacement(monkeypatch):
    """A kernel density draws each of its points once."""
    uniform = Streams.uniform

    def wrong(self, purpose, iteration, shape, **others):
        values = uniform(self, purpose, iteration, shape, **others)
        return (values.argsort(axis=1) + 0.5) / shape[0] if purpose == "chosen points" else values

    monkeypatch.setattr(Streams, "uniform", wrong)


def not_normalised(monkeypatch):
    """The density of a kernel does not integrate to one."""
    monkeypatch.setattr(kernel_density.simulator, "log_normaliser", lambda kernel, dimension: 0.0)


def trained_on_test(monkeypatch):
    """The test points of a kernel density are its training points."""
    real = kernel_density.Simulator.real

    def wrong(self, iteration, count):
        (points,) = real(self, iteration, count)
        self.test = points[:, np.arange(kernel_density.TEST_POINTS) % count]
        return (points,)

    monkeypatch.setattr(kernel_density.Simulator, "real", wrong)


def moved_outcomes(monkeypatch):
    """Of one outcome, 2 % of the samples become another."""
    drawn, generator = discrete.Simulator.sample_statistics, np.random.default_rng(0)

    def wrong(self, model, count, iteration):
        statistics = drawn(self, model, count, iteration)
        moved = generator.binomial(statistics.counts[:, 0], 0.02)
        statistics.counts[:, 0] -= moved
        statistics.counts[:, 1] += moved
        return statistics

    monkeypatch.setattr(discrete.Simulator, "sample_statistics", wrong)


MISTAKES = {
    mean_noise: (
        "gaussian",
        100,
        {"samples": [32, 100], "grid": {"dimension": [3, 30]}, "iterations": 60},
    ),
    label_noise: (
        "linear_regression",
        100,
        {"samples": [32, 316], "grid": {"dimension": [3, 30]}, "iterations": 30},
    ),
    without_replacement: (
        "kernel_density",
        100,
        {"samples": [10, 30], "grid": {"bandwidth": [0.1, 0.5]}, "iterations": 8},
    ),
    not_normalised: (
        "kernel_density",
        100,
        {"samples": [10, 100], "grid": {"bandwidth": [0.1, 0.5]}, "iterations": 4},
    ),
    trained_on_test: (
        "kernel_density",
        100,
        {"samples": [10, 100], "grid": {"bandwidth": [0.1, 0.5]}, "iterations": 4},
    ),
    moved_outcomes: (
        "discrete",
        100,
        {"samples": [100, 1000], "grid": {"outcomes": [2, 10]}, "iterations": 60},
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
def test_wrong_simulations_disagree(mistake, monkeypatch):
    family, seeds, experiment = MISTAKES[mistake]
    specs = list(chains(family, ["replace"], seeds, **experiment))
    assert set(judge(simulated(specs, 100))["verdict"]) == {"agrees"}
    mistake(monkeypatch)
    assert "DISAGREES" in set(judge(simulated(specs, seeds))["verdict"])


@pytest.mark.parametrize("family", STUDIES)
def test_seeds_that_are_copied_in_pairs_disagree(family):
    results = simulated(chains(family, ["accumulate"], 50, **STUDIES[family]), 50)
    for order in (np.arange(100) // 2, np.arange(100) % 50):
        copied = [
            (spec, found, {name: values[order] for name, values in metrics.items()})
            for spec, found, metrics in results
        ]
        verdicts = judge(copied)
        blamed = verdicts["because"].str.contains("seeds depend on each other")
        assert blamed[verdicts["verdict"] != "infinite variance"].any()
