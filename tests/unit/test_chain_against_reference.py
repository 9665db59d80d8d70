"""The vectorised chains and the plain loop of `reference` have the same law."""

from zlib import crc32

import numpy as np
import pytest
from scipy.stats import ks_2samp

from collapse.loop.closed_form import run_chain
from collapse.regimes import NAMED, Regime, mixture
from collapse.study.chain_spec import ChainSpec
from reference import reference_chain

RUNS, ITERATIONS = 250, 6
WINDOW = Regime(keep_real=True, memory=2)
FRESH = Regime(keep_real=3, memory=1, fresh_real="0.5n")
FRESH_BUDGET = Regime(keep_real=False, memory=2, fresh_real="0.5n", budget="n")
SHRINKING = Regime(keep_real=True, generate="n*0.7^(t-1)")
GROWING = Regime(keep_real=2, memory=1, generate="n*1.3^(t-1)")
ONE_REAL = mixture(1, 7)

REPLACE, ACCUMULATE, SUBSAMPLE, MULTIPLE = NAMED.values()
GAUSSIAN = {"dimension": 3, "variance": 2.0}
UNBIASED = {"dimension": 3, "estimator": "unbiased"}
REGRESSION = {"dimension": 3, "noise_variance": 0.5}
FRESH_DESIGN = {**REGRESSION, "design": "fresh"}
MOONS = {"dataset": "moons", "bandwidth": 0.5}
SCALED = {"dataset": "swiss_roll", "bandwidth": "scott-scaled"}
TOPHAT = {"dataset": "circles", "bandwidth": 3.0, "kernel": "tophat"}

CASES = [
    ("gaussian", GAUSSIAN, REPLACE, 8),
    ("gaussian", GAUSSIAN, ACCUMULATE, 8),
    ("gaussian", GAUSSIAN, SUBSAMPLE, 8),
    ("gaussian", GAUSSIAN, MULTIPLE, 8),
    ("gaussian", GAUSSIAN, FRESH, 8),
    ("gaussian", GAUSSIAN, FRESH_BUDGET, 8),
    ("gaussian", GAUSSIAN, GROWING, 8),
    ("gaussian", GAUSSIAN, ONE_REAL, 8),
    ("gaussian", UNBIASED, REPLACE, 8),
    ("gaussian", UNBIASED, SUBSAMPLE, 8),
    ("gaussian", {"dimension": 12}, ACCUMULATE, 8),
    ("gaussian", {"dimension": 12}, SUBSAMPLE, 8),
    ("gaussian", {"dimension": 12}, FRESH, 8),
    ("linear_regression", REGRESSION, REPLACE, 10),
    ("linear_regression", REGRESSION, ACCUMULATE, 10),
    ("linear_regression", REGRESSION, SUBSAMPLE, 10),
    ("linear_regression", REGRESSION, MULTIPLE, 10),
    ("linear_regression", REGRESSION, FRESH, 10),
    ("linear_regression", REGRESSION, SHRINKING, 10),
    ("linear_regression", FRESH_DESIGN, REPLACE, 10),
    ("linear_regression", FRESH_DESIGN, SUBSAMPLE, 10),
    ("linear_regression", FRESH_DESIGN, WINDOW, 10),
    ("linear_regression", {**REGRESSION, "dimension": 15}, ACCUMULATE, 10),
    ("linear_regression", {**REGRESSION, "dimension": 15}, SUBSAMPLE, 10),
    ("linear_regression", {**FRESH_DESIGN, "dimension": 15}, ACCUMULATE, 10),
    ("linear_regression", {**REGRESSION, "dimension": 15, "covariance_decay": 1.5}, SUBSAMPLE, 10),
    ("kernel_density", MOONS, REPLACE, 12),
    ("kernel_density", MOONS, ACCUMULATE, 12),
    ("kernel_density", {**MOONS, "dataset": "blobs"}, SUBSAMPLE, 12),
    ("kernel_density", {**MOONS, "dataset": "blobs"}, FRESH_BUDGET, 12),
    ("kernel_density", MOONS, WINDOW, 12),
    ("kernel_density", {**MOONS, "bandwidth": "silverman"}, ACCUMULATE, 12),
    ("kernel_density", SCALED, ACCUMULATE, 12),
    ("kernel_density", SCALED, SUBSAMPLE, 12),
    ("kernel_density", TOPHAT, REPLACE, 12),
    ("kernel_density", TOPHAT, ACCUMULATE, 12),
    ("discrete", {"outcomes": 4}, REPLACE, 8),
    ("discrete", {"outcomes": 4}, ACCUMULATE, 8),
    ("discrete", {"outcomes": 4}, SUBSAMPLE, 8),
    ("discrete", {"outcomes": 4}, FRESH, 8),
]


def label(case):
    family, parameters, regime, samples = case
    fields = regime.model_dump(exclude_defaults=True)
    return f"{family}-{parameters}-{fields}-n={samples}".replace(" ", "").replace("'", "")


def assert_same_law(ours, theirs, where):
    """Means within 5 standard errors, and no difference that Kolmogorov and Smirnov can see."""
    finite = [values[np.isfinite(values)] for values in (ours, theirs)]
    for one, other in ((np.isfinite(ours), np.isfinite(theirs)), finite):
        error = np.hypot(one.std() / np.sqrt(len(one)), other.std() / np.sqrt(len(other)))
        assert abs(one.mean() - other.mean()) <= 5 * error + 1e-12, where
    assert ks_2samp(*finite, method="asymp").pvalue > 1e-5, where


@pytest.mark.parametrize("case", CASES, ids=label)
def test_same_law_as_the_plain_loop(case):
    """Both sides have fixed seeds; of these 500 comparisons none should fail by chance."""
    family, parameters, regime, samples = case
    generator = np.random.default_rng(crc32(label(case).encode()))
    runs = [
        reference_chain(family, parameters, regime, samples, ITERATIONS, generator)
        for _ in range(RUNS)
    ]
    expected = {metric: np.stack([run[metric] for run in runs]) for metric in runs[0]}
    spec = ChainSpec(
        experiment="against the reference",
        point="p",
        regime_name="r",
        regime=regime,
        family=family,
        parameters=parameters,
        samples=samples,
        iterations=ITERATIONS,
        evaluated=tuple(range(1, ITERATIONS + 1)),
    )
    actual = run_chain(spec, range(RUNS))
    if family == "gaussian" and parameters["dimension"] >= samples:
        # The plain loop takes the logarithm of rounding errors where this is -inf.
        assert np.all(np.isneginf(actual["log_determinant_ratio"][:, 0]))
        del expected["log_determinant_ratio"]
    for metric, values in expected.items():
        for t in (1, 2, 4, 6):
            assert_same_law(actual[metric][:, t - 1], values[:, t - 1], (metric, t))
