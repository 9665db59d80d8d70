"""The vectorised chains and the plain loop of `reference` have the same law."""

from zlib import crc32

import numpy as np
import pytest
from scipy.stats import ks_2samp

from closed_form_chains import run
from collapse.regimes import NAMED, Regime, mixture
from reference import reference_chain

RUNS, ITERATIONS = 250, 6
COMPARED_AT = (1, 2, 4, 6)
WINDOW = Regime(keep_real=True, memory=2)
FRESH = Regime(keep_real=3, memory=1, fresh_real="0.5n")
FRESH_BUDGET = Regime(keep_real=False, memory=2, fresh_real="0.5n", budget="n")
SHRINKING = Regime(keep_real=True, generate="n*0.7^(t-1)")
GROWING = Regime(keep_real=2, memory=1, generate="n*1.3^(t-1)")
ONE_REAL = mixture(1, 7)


def weighed(select=None, *, rule="best", candidates=3, **fields):
    """Return a regime with a weight, or whose selection has these fields."""
    if select is not None:
        others = {
            key: fields.pop(key) for key in ("temperature", "threshold", "error") if key in fields
        }
        fields["select"] = {"score": select, "rule": rule, "candidates": candidates, **others}
    return Regime(**{"keep_real": True, **fields})


HALF = weighed(weigh={"real": 0.5})
SCHEDULED = weighed(keep_real=2, memory=2, fresh_real=3, weigh={"real": "1-0.5*t^-1"})
SHARES = weighed(budget="n", weigh={"real": 0.3})
AT_RANDOM = weighed(memory=2, fresh_real="0.5n", provenance="bernoulli")
RANDOM_BUDGET = weighed(fresh_real=2, budget="n", provenance="bernoulli")
RANDOM_SHARES = weighed(fresh_real=2, budget="n", provenance="bernoulli", weigh={"real": 0.6})
RANDOM_WEIGHTS = weighed(fresh_real=4, provenance="bernoulli", weigh={"real": 0.6})

REPLACE, ACCUMULATE, SUBSAMPLE, MULTIPLE = NAMED.values()
GAUSSIAN = {"dimension": 3, "variance": 2.0}
UNBIASED = {"dimension": 3, "estimator": "unbiased"}
REGRESSION = {"dimension": 3, "noise_variance": 0.5}
FRESH_DESIGN = {**REGRESSION, "design": "fresh"}
DECAYING = {**REGRESSION, "dimension": 15, "covariance_decay": 1.5}
MOONS = {"dataset": "moons", "bandwidth": 0.5}
SCALED = {"dataset": "swiss_roll", "bandwidth": "scott-scaled"}
TOPHAT = {"dataset": "circles", "bandwidth": 3.0, "kernel": "tophat"}

#: Of each family with these parameters and n, the regimes.
COMPARED = [
    (
        *("gaussian", GAUSSIAN, 8),
        (REPLACE, ACCUMULATE, SUBSAMPLE, MULTIPLE, FRESH, FRESH_BUDGET, GROWING, ONE_REAL),
    ),
    ("gaussian", UNBIASED, 8, (REPLACE, SUBSAMPLE)),
    ("gaussian", {"dimension": 12}, 8, (ACCUMULATE, SUBSAMPLE, FRESH)),
    (
        *("linear_regression", REGRESSION, 10),
        (REPLACE, ACCUMULATE, SUBSAMPLE, MULTIPLE, FRESH, SHRINKING),
    ),
    ("linear_regression", FRESH_DESIGN, 10, (REPLACE, SUBSAMPLE, WINDOW)),
    ("linear_regression", {**REGRESSION, "dimension": 15}, 10, (ACCUMULATE, SUBSAMPLE)),
    ("linear_regression", {**FRESH_DESIGN, "dimension": 15}, 10, (ACCUMULATE,)),
    (
        "linear_regression",
        {**REGRESSION, "dimension": 15, "covariance_decay": 1.5},
        10,
        (SUBSAMPLE,),
    ),
    ("kernel_density", MOONS, 12, (REPLACE, ACCUMULATE, WINDOW)),
    ("kernel_density", {**MOONS, "dataset": "blobs"}, 12, (SUBSAMPLE, FRESH_BUDGET)),
    ("kernel_density", {**MOONS, "bandwidth": "silverman"}, 12, (ACCUMULATE,)),
    ("kernel_density", SCALED, 12, (ACCUMULATE, SUBSAMPLE)),
    ("kernel_density", TOPHAT, 12, (REPLACE, ACCUMULATE)),
    ("discrete", {"outcomes": 4}, 8, (REPLACE, ACCUMULATE, SUBSAMPLE, FRESH)),
    (
        *("gaussian", {**GAUSSIAN, "target": 0.5}, 8),
        (
            *(HALF, SHARES, AT_RANDOM, RANDOM_BUDGET, RANDOM_SHARES),
            weighed("distance", error=0.2),
            weighed("reward", rule="softmax", temperature=0.7, error=0.1, budget="n"),
            weighed("distance", rule="threshold", threshold=3.0, candidates=25, error=0.1),
            weighed(weigh={"score": "distance", "power": -1.0}),
            weighed("distance", budget=6, weigh={"real": 0.5, "score": "distance", "power": 0.5}),
        ),
    ),
    ("gaussian", UNBIASED, 8, (SCHEDULED, RANDOM_WEIGHTS)),
    (
        *("linear_regression", REGRESSION, 10),
        (HALF, AT_RANDOM, weighed("residual"), weighed(weigh={"score": "residual"}, budget="n")),
    ),
    ("linear_regression", FRESH_DESIGN, 10, (SCHEDULED, RANDOM_SHARES, weighed("residual"))),
    ("kernel_density", MOONS, 12, (HALF, RANDOM_WEIGHTS, weighed("distance", memory=1))),
    (
        *("kernel_density", SCALED, 12),
        (SCHEDULED, weighed(weigh={"real": 0.4, "score": "distance", "power": -0.5})),
    ),
    ("kernel_density", TOPHAT, 12, (weighed(weigh={"score": "distance"}),)),
    (
        *("discrete", {"outcomes": 4}, 8),
        (
            *(HALF, SHARES, SCHEDULED, AT_RANDOM),
            weighed("reward", rule="softmax", temperature=1.5),
            weighed("reward", rule="threshold", threshold=1.0, candidates=30, error=0.1),
            weighed(weigh={"real": 0.3, "score": "reward"}),
        ),
    ),
    ("discrete", {"outcomes": 4, "zipf_exponent": 1.0}, 8, (REPLACE, FRESH)),
    ("discrete", {"outcomes": 3, "probabilities": [0.6, 0.1, 0.3]}, 8, (SUBSAMPLE,)),
    ("logistic_regression", {"dimension": 1}, 60, (REPLACE, ACCUMULATE, SUBSAMPLE, FRESH)),
    ("logistic_regression", {"dimension": 1, "design": "fresh"}, 60, (WINDOW, SUBSAMPLE)),
    ("poisson_regression", {"dimension": 2}, 20, (REPLACE, ACCUMULATE, SUBSAMPLE, SHRINKING)),
    ("poisson_regression", {"dimension": 2, "design": "fresh"}, 20, (GROWING, FRESH_BUDGET)),
    ("logistic_regression", {"dimension": 1}, 60, (HALF, weighed("correct", candidates=2))),
    (
        *("poisson_regression", {"dimension": 2, "design": "fresh"}, 20),
        (AT_RANDOM, weighed("residual", rule="softmax", temperature=1.0), HALF),
    ),
]
CASES = [
    (family, parameters, regime, n)
    for family, parameters, n, regimes in COMPARED
    for regime in regimes
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
        reference_chain(family, parameters, regime, samples, ITERATIONS, generator, COMPARED_AT)
        for _ in range(RUNS)
    ]
    expected = {metric: np.stack([run[metric] for run in runs]) for metric in runs[0]}
    where = {"experiment": "against the reference", **parameters}
    actual = run(family, regime, samples, ITERATIONS, RUNS, **where)
    if family == "gaussian" and parameters["dimension"] >= samples:
        # The plain loop takes the logarithm of rounding errors where this is -inf.
        assert np.all(np.isneginf(actual["log_determinant_ratio"][:, 0]))
        del expected["log_determinant_ratio"]
    for metric, values in expected.items():
        for column, t in zip(values.T, COMPARED_AT, strict=True):
            assert_same_law(actual[metric][:, t - 1], column, (metric, t))
