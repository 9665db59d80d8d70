"""Run chains of a closed-form family in a test, and compare them with expected values."""

import numpy as np

from collapse.loop.closed_form import run_chain
from collapse.study.chain_spec import ChainSpec


def specification(family, regime, n, iterations, evaluated=None, experiment=None, **parameters):
    """Return the chain whose metrics `run` returns."""
    return ChainSpec(
        experiment=experiment or family,
        point="p",
        regime_name="r",
        regime=regime,
        family=family,
        parameters=parameters,
        samples=n,
        iterations=iterations,
        evaluated=tuple(evaluated or range(1, iterations + 1)),
    )


def run(family, regime, n, iterations, seeds, evaluated=None, **further):
    """Return the metrics of a chain for a number of seeds, at ``evaluated`` or all iterations."""
    return run_chain(
        specification(family, regime, n, iterations, evaluated, **further), range(seeds)
    )


def assert_within(values, expected, errors=5):
    """Assert that means over seeds are within some standard errors of expected values."""
    error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    assert np.all(np.abs(values.mean(axis=0) - expected) <= errors * error)
