"""Theory: recursions against closed forms, against each other and against simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import binom

import published_formulas as formulas
from collapse.regimes import NAMED, Regime, mixture
from collapse.theory import discrete, kernel_density, linear_regression, pairs
from collapse.theory import gaussian as gaussians

SEEDS = 20_000
REGIMES = {
    **NAMED,
    "window": Regime(keep_real=True, memory=2),
    "window without real": Regime(keep_real=False, memory=3),
    "budget on a window": Regime(keep_real=True, memory=2, budget="n"),
    "fresh": Regime(keep_real=False, memory=1, fresh_real="0.5n"),
    "fresh in a budget": Regime(keep_real=True, memory=2, fresh_real=1, budget="n"),
    "growing": Regime(keep_real=False, memory=1, generate="n*1.3^(t-1)"),
    "shrinking": Regime(keep_real=True, generate="n*0.8^(t-1)"),
    "some real": Regime(keep_real=2, memory=1),
    "some real, accumulating": Regime(keep_real=1, budget=3),
    "mixture": mixture(3, 5),
    "nothing generated": Regime(keep_real=True, generate=0, fresh_real=2),
}


def simulate(regime, n, iterations, real, model, seeds=SEEDS, seed=0):
    """Training set of each iteration, (seeds, N), of a plain loop that keeps every sample."""
    generator = np.random.default_rng(seed)
    shards = {("real", 1): real(generator, (seeds, n))}
    for t in range(1, iterations + 1):
        pool = regime.pool(t, n)
        for source in pool:
            if source.kind == "fresh" and source.iteration == t:
                shards["fresh", t] = real(generator, (seeds, source.size))
        training = np.hstack([shards[s.kind, s.iteration][:, : s.size] for s in pool])
        size = regime.training_size(t, n, training.shape[1])
        if size < training.shape[1]:
            chosen = generator.random(training.shape).argsort(axis=1)[:, :size]
            training = np.take_along_axis(training, chosen, axis=1)
        yield training
        shards["synthetic", t] = model(generator, training, regime.generated(t + 1, n), t)


def normal(generator, shape):
    return generator.standard_normal(shape)


def gaussian(ddof):
    def model(generator, training, size, t):
        mean, deviation = training.mean(axis=1), training.std(axis=1, ddof=ddof)
        return mean[:, None] + deviation[:, None] * normal(generator, (len(training), size))

    return model


def assert_close(samples, expected, errors=5):
    """Assert that the mean over seeds is within ``errors`` standard errors of the expectation."""
    samples = np.asarray(samples)
    error = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
    assert np.all(np.isfinite(expected))
    assert np.all(np.abs(samples.mean(axis=0) - expected) <= errors * error + 1e-12)


def relative(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("n", [2, 10, 316])
def test_variance_reproduces_the_closed_forms(n):
    for name, formula in (
        ("replace", formulas.gaussian_replace_variance),
        ("accumulate", formulas.gaussian_accumulate_variance),
        ("accumulate-subsample", formulas.gaussian_accumulate_subsample_variance),
    ):
        relative(pairs.variance_fractions(NAMED[name], n, 100).variance, formula(n, 100))
    moments = pairs.variance_fractions(NAMED["replace"], n, 100, "unbiased")
    relative(moments.variance, np.ones(100))
    relative(moments.squared_error, formulas.gaussian_unbiased_replace_squared_error(n, 100))


def test_limits_of_the_closed_forms():
    assert formulas.gaussian_accumulate_variance(10, 100_000)[-1] == pytest.approx(
        formulas.gaussian_accumulate_variance_limit(10), rel=1e-5
    )
    n = 10**6
    drift = n * (1 - formulas.gaussian_accumulate_subsample_variance(n, n)[-1])
    assert drift == pytest.approx(np.pi**2 / 2 - 2, rel=1e-4)
    assert formulas.linear_regression_accumulate_factor(10**6)[-1] == pytest.approx(np.pi**2 / 6)
    assert linear_regression.accumulate_subsample_factor(20)[-1] == pytest.approx(2.79, abs=0.005)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    n=st.integers(2, 9),
    keep=st.booleans() | st.integers(0, 2),
    memory=st.none() | st.integers(1, 4),
    generate=st.sampled_from(["n", "tn", "n*0.8^(t-1)", 3]),
    fresh=st.integers(0, 3),
    share=st.none() | st.floats(0.2, 1),
)
def test_variance_and_squared_error_of_the_mean_add_up(n, keep, memory, generate, fresh, share):
    regime = Regime(keep_real=keep, memory=memory, generate=generate, fresh_real=fresh)
    if share is not None:
        budget = max(1, int(share * min(regime.pool_sizes(8, n))))
        regime = regime.model_copy(update={"budget": budget})
    moments = pairs.variance_fractions(regime, n, 8)
    np.testing.assert_allclose(moments.variance + moments.squared_error, 1, rtol=1e-12)
    assert np.all(moments.variance >= 0) and np.all(moments.squared_error > 0)


ESTIMATORS = {False: "maximum-likelihood", True: "unbiased"}


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("name", REGIMES)
def test_variance_against_simulation(name, unbiased):
    n, iterations = 4, 2 if name == "mixture" else 5
    moments = pairs.variance_fractions(REGIMES[name], n, iterations, ESTIMATORS[unbiased])
    model = gaussian(ddof=int(unbiased))
    for t, x in enumerate(simulate(REGIMES[name], n, iterations, normal, model)):
        assert_close(x.var(axis=1, ddof=int(unbiased)), moments.variance[t])
        assert_close(x.mean(axis=1) ** 2, moments.squared_error[t])


def test_an_unbiased_variance_needs_two_samples():
    with pytest.raises(ValueError, match="iteration 2"):
        pairs.variance_fractions(Regime(keep_real=True, budget=1), 3, 3, "unbiased")


def test_memoryless_sizes():
    def sizes(regime, iterations=3):
        return pairs.memoryless_sizes(regime, 10, iterations)

    assert sizes(NAMED["replace-multiple"]) == [10, 20, 30]
    assert sizes(Regime(keep_real=False, memory=1, budget=5)) == [10, 5, 5]
    assert sizes(NAMED["accumulate"]) is None
    assert sizes(Regime(keep_real=False)) is None
    assert sizes(Regime(keep_real=False, memory=1, fresh_real=1)) is None
    assert sizes(NAMED["accumulate"], iterations=1) == [10]


WHOLE = ("replace", "accumulate", "replace-multiple", "fresh", "growing", "shrinking")
WHOLE += ("nothing generated", "everything")
REGIMES["everything"] = Regime(keep_real=True, generate=3, fresh_real=2)


def test_whole_pools():
    assert pairs.whole_pools(NAMED["accumulate"], 10, 3) == [(10, 10, 0), (20, 10, 0)]
    assert pairs.whole_pools(REGIMES["fresh"], 10, 3) == [(0, 10, 5)] * 2
    assert pairs.whole_pools(Regime(keep_real=False, memory=1, budget=5), 9, 3) == [(0, 5, 0)] * 2
    assert pairs.whole_pools(Regime(keep_real=False), 9, 3) == [(0, 9, 0), (9, 9, 0)]
    for name in ("accumulate-subsample", "window", "some real", "window without real"):
        assert pairs.whole_pools(REGIMES[name], 10, 5) is None


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("name", WHOLE)
def test_moments_of_whole_pools_agree_with_the_general_recursion(name, unbiased):
    arrivals = pairs.whole_pools(REGIMES[name], 10, 8)
    moments = gaussians.moments(arrivals, 10, 7, unbiased)
    fractions = pairs.variance_fractions(REGIMES[name], 10, 8, ESTIMATORS[unbiased])
    relative(moments.trace_ratio, fractions.variance)
    relative(moments.squared_error, 7 * fractions.squared_error)


def coordinates(unbiased, dimension):
    """A Gaussian model for `simulate`, of samples of several coordinates side by side."""

    def model(generator, training, size, t):
        values = training.reshape(len(training), -1, dimension)
        centred = values - values.mean(axis=1, keepdims=True)
        covariance = centred.mT @ centred / (values.shape[1] - unbiased)
        draws = normal(generator, (len(values), size, dimension))
        drawn = draws @ np.linalg.cholesky(covariance).mT + values.mean(axis=1, keepdims=True)
        return drawn.reshape(len(values), -1)

    return model


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("name", WHOLE)
def test_deviations_of_whole_pools_against_simulation(name, unbiased):
    n, d = 4, 2
    arrivals = pairs.whole_pools(REGIMES[name], n, 4)
    moments = gaussians.moments(arrivals, n, d, unbiased)
    # A training set of whole samples of two coordinates is one of twice as many numbers.
    for t, x in enumerate(simulate_pairs(arrivals, n, coordinates(unbiased, d))):
        values = x.reshape(SEEDS, -1, d)
        trace = values.var(axis=1, ddof=int(unbiased)).mean(axis=1)
        error = (values.mean(axis=1) ** 2).sum(axis=1)
        for found, mean, deviation in (
            (trace, moments.trace_ratio[t], moments.trace_ratio_deviation[t]),
            (error, moments.squared_error[t], moments.squared_error_deviation[t]),
        ):
            assert_close((found - mean) ** 2, deviation**2)


def simulate_pairs(arrivals, n, model, seed=3):
    """Training sets of a plain loop over whole pools of samples of two coordinates."""
    generator = np.random.default_rng(seed)
    training = normal(generator, (SEEDS, 2 * n))
    yield training
    for t, one in enumerate(arrivals, start=1):
        new = [training] if one.kept else []
        new.append(model(generator, training, one.synthetic, t))
        new.append(normal(generator, (SEEDS, 2 * one.fresh)))
        training = np.hstack(new)
        yield training


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("name", ["accumulate", "growing", "shrinking"])
def test_logarithms_of_accumulated_variances_against_simulation(name, unbiased):
    n = 4
    arrivals = pairs.whole_pools(REGIMES[name], n, 5)
    expected = gaussians.accumulating_log_variance(arrivals, n, unbiased)
    model = gaussian(ddof=int(unbiased))
    for t, x in enumerate(simulate(REGIMES[name], n, 5, normal, model)):
        logarithm = np.log(x.var(axis=1, ddof=int(unbiased)))
        assert_close(logarithm, expected.mean[t])
        assert_close((logarithm - expected.mean[t]) ** 2, expected.deviation[t] ** 2)
    if name == "growing":
        exact = gaussians.replace_log_determinant(
            [n, *(a.synthetic for a in arrivals)], 1, 5, unbiased
        )
        relative(expected.mean, exact.mean)
    assert gaussians.accumulating_log_variance(pairs.whole_pools(REGIMES["fresh"], n, 5), n) is None


@pytest.mark.parametrize(("freedom", "weight"), [(1, 0.5), (3, 0.9), (0, 0.5), (50, 0.1)])
def test_the_quadrature_of_logarithms_is_that_of_frullani(freedom, weight):
    values, shares = gaussians._log_of_weighted_squares(4.0, freedom, weight)
    transform = lambda t: (1 + t / 2) ** (-freedom / 2) * (1 + weight * t / 2) ** -0.5  # noqa: E731
    exact = quad(lambda t: np.exp(-t) / t * (1 - transform(t)), 0, np.inf, limit=500)[0]
    assert shares @ values == pytest.approx(np.log(4) + exact, abs=1e-7)


def replacing(n, iterations):
    return pairs.whole_pools(NAMED["replace"], n, iterations)


def test_replace_moments_of_one_dimension_and_one_fit():
    n, t = 10, np.arange(1, 101)
    moments = gaussians.moments(replacing(n, 100), n, 1)
    square = ((n - 1) * (n + 1) / n**2) ** t  # E[(chi² / n)²] to the power t
    np.testing.assert_allclose(moments.trace_ratio_deviation**2, square - (1 - 1 / n) ** (2 * t))
    first = gaussians.moments([], n, 5)  # tr W ~ chi²(d (n-1)), n ‖u‖² ~ chi²(d)
    relative(first.trace_ratio_deviation, np.sqrt(2 * 5 * (n - 1)) / (5 * n))
    relative(first.squared_error_deviation, np.sqrt(2 * 5) / n)


def test_replace_moments_of_the_second_fit():
    m, d, f = 10, 3, 9  # √m u = z + L z', with LL' = W/m
    trace = f * d / m
    square_of_trace = (f**2 * d**2 + 2 * f * d) / m**2
    trace_of_square = (f * (f + 1) * d + f * d**2) / m**2
    fourth = d**2 + 2 * d + 2 * d * trace + 4 * trace + square_of_trace + 2 * trace_of_square
    second = gaussians.moments(replacing(m, 2), m, d)
    variance = (fourth - (d + trace) ** 2) / m**2
    assert second.squared_error_deviation[1] ** 2 == pytest.approx(variance, rel=1e-12)


@pytest.mark.parametrize("unbiased", [False, True])
def test_replace_deviations_and_determinants_against_simulation(unbiased):
    d, sizes = 2, [5, 8, 4, 6]
    arrivals = [pairs.Arrivals(0, m, 0) for m in sizes[1:]]
    moments = gaussians.moments(arrivals, sizes[0], d, unbiased)
    determinant = gaussians.replace_log_determinant(sizes, d, 4, unbiased)
    generator = np.random.default_rng(1)
    mean, factor = np.zeros((2 * SEEDS, d)), np.broadcast_to(np.eye(d), (2 * SEEDS, d, d))
    for t, m in enumerate(sizes):
        x = mean[:, None] + normal(generator, (2 * SEEDS, m, d)) @ factor.mT
        mean = x.mean(axis=1)
        centred = x - mean[:, None]
        covariance = centred.mT @ centred / (m - unbiased)
        factor = np.linalg.cholesky(covariance)
        trace = np.trace(covariance, axis1=1, axis2=2) / d
        error = (mean**2).sum(axis=1)
        log = np.linalg.slogdet(covariance)[1]
        for samples, expected, deviation in [
            (trace, moments.trace_ratio, moments.trace_ratio_deviation),
            (error, moments.squared_error, moments.squared_error_deviation),
            (log, determinant.mean, determinant.deviation),
        ]:
            assert_close(samples, expected[t])
            assert_close((samples - expected[t]) ** 2, deviation[t] ** 2)


def test_a_singular_covariance_has_no_determinant_from_then_on():
    mean, deviation = gaussians.replace_log_determinant([12, 10, 12], 10, 3)
    assert np.isfinite(mean[0]) and np.isfinite(deviation[0])
    assert np.all(np.isneginf(mean[1:])) and np.all(np.isnan(deviation[1:]))


def test_linear_regression_reproduces_the_closed_forms():
    for name, formula in {
        "replace": formulas.linear_regression_replace_factor,
        "accumulate": formulas.linear_regression_accumulate_factor,
    }.items():
        relative(linear_regression.variance_factor(NAMED[name], 10, 50), formula(50))
        error = linear_regression.expected_test_error(NAMED[name], 10, 3, 0.1, 50)
        relative(error, 0.1 * 3 / (10 - 3 - 1) * formula(50))


LINEAR = {
    **{name: NAMED[name] for name in ("replace", "accumulate", "replace-multiple")},
    "window": Regime(keep_real=True, memory=2),
    "fresh": Regime(keep_real=False, memory=2, generate="2n", fresh_real="n"),
    "budget of the whole": Regime(keep_real=True, budget="tn"),
}


@pytest.mark.parametrize(("n", "d"), [(10, 2), (2, 7)])
@pytest.mark.parametrize("name", LINEAR)
def test_linear_regression_against_simulation(name, n, d):
    regime, variance, iterations, seeds = LINEAR[name], 0.5, 4, 3000
    expected = linear_regression.expected_test_error(regime, n, d, variance, iterations)
    deviation = linear_regression.deviation(regime, n, d, variance, iterations)
    generator = np.random.default_rng(2)
    design, truth = normal(generator, (seeds, n, d)), normal(generator, (seeds, d, 1))
    labels = {}
    fits = {0: truth}
    for t in range(1, iterations + 1):
        pool = regime.pool(t, n)
        for s in pool:
            if (s.kind, s.iteration) not in labels:
                copies = np.tile(design, (1, s.size // n, 1))
                exact = copies @ fits[s.iteration if s.kind == "synthetic" else 0]
                noise = np.sqrt(variance) * normal(generator, exact.shape)
                labels[s.kind, s.iteration] = copies, exact + noise
        x = np.concatenate([labels[s.kind, s.iteration][0] for s in pool], axis=1)
        y = np.concatenate([labels[s.kind, s.iteration][1] for s in pool], axis=1)
        gram = x.mT @ x if n > d else x @ x.mT
        inverse = np.linalg.pinv(gram, rcond=1e-10, hermitian=True)
        fits[t] = inverse @ (x.mT @ y) if n > d else x.mT @ (inverse @ y)
        error = ((fits[t] - truth) ** 2).sum(axis=(1, 2))
        assert_close(error, expected[t - 1])
        assert error.std() == pytest.approx(deviation[t - 1], rel=0.15)
        noise = (y - x @ fits[t])[:, :n] if n > d else None
        if noise is not None and t == 1:
            assert_close((noise**2).sum(axis=(1, 2)) / (n - d), variance)


def test_linear_regression_with_a_fresh_design_against_simulation():
    sizes, d, seeds = [10, 20, 30, 40], 2, SEEDS
    expected = linear_regression.expected_test_error(
        NAMED["replace-multiple"], 10, d, 0.5, 4, fresh_design=True
    )
    deviation = linear_regression.deviation(
        NAMED["replace-multiple"], 10, d, 0.5, 4, fresh_design=True
    )
    generator = np.random.default_rng(3)
    error = np.zeros((seeds, d, 1))
    for t, m in enumerate(sizes):
        x = normal(generator, (seeds, m, d))
        noise = np.sqrt(0.5) * normal(generator, (seeds, m, 1))
        error = error + np.linalg.solve(x.mT @ x, x.mT @ noise)
        squares = (error**2).sum(axis=(1, 2))
        assert_close(squares, expected[t])
        assert_close((squares - expected[t]) ** 2, deviation[t] ** 2)


def test_the_test_error_has_an_infinite_variance_next_to_the_interpolation_threshold():
    for n, d in ((12, 10), (13, 10), (10, 12), (10, 13)):
        assert np.isinf(linear_regression.deviation(NAMED["replace"], n, d, 1.0, 3)).all()
    for n, d in ((14, 10), (10, 14)):
        assert np.isfinite(linear_regression.deviation(NAMED["replace"], n, d, 1.0, 3)).all()


def test_linear_regression_without_an_exact_expectation():
    def error(regime="replace", n=20, d=3, **options):
        regime = NAMED[regime] if isinstance(regime, str) else regime
        return linear_regression.expected_test_error(regime, n, d, 1.0, 5, **options)

    assert error() is not None
    assert error("accumulate-subsample") is None
    assert error(Regime(keep_real=10)) is None
    assert error(Regime(keep_real=True, generate="0.5n")) is None
    assert all(error(n=n, d=10) is None for n in (9, 10, 11))
    assert all(error(n=n, d=10) is not None for n in (8, 12))
    assert error(n=8, d=10, isotropic=False) is None
    assert error(n=12, d=10, isotropic=False) is not None
    assert error("accumulate", fresh_design=True) is None
    assert all(error(n=n, d=10, fresh_design=True) is None for n in (8, 10, 11))
    assert error(n=12, d=10, fresh_design=True) is not None


def test_kde_reproduces_the_closed_forms():
    for name, formula in {
        "replace": formulas.kde_replace_excess,
        "accumulate": formulas.kde_accumulate_excess,
        "accumulate-subsample": formulas.kde_accumulate_excess,
    }.items():
        excess = kernel_density.mean_squared_norm_excess(NAMED[name], 10, np.full(50, 0.3), 2, 50)
        np.testing.assert_allclose(excess, 2 * formula(0.3, 50), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", ["window", "fresh in a budget", "growing", "some real"])
def test_kde_against_simulation(name):
    bandwidths = [0.5, 1.0, 0.3, 0.8, 0.1]
    expected = kernel_density.mean_squared_norm_excess(
        REGIMES[name], 4, bandwidths, 1, 5, kernel_variance=1 / 3
    )

    def tophat(generator, training, size, t):
        chosen = generator.integers(training.shape[1], size=(len(training), size))
        noise = bandwidths[t - 1] * generator.uniform(-1, 1, chosen.shape)
        return np.take_along_axis(training, chosen, axis=1) + noise

    variance = kernel_density.point_variance(REGIMES[name], 4, bandwidths, 1, 5, 1 / 3)
    sets = list(simulate(REGIMES[name], 4, 5, normal, tophat))
    first = sets[0].var(axis=1)
    for t, x in enumerate(sets):
        assert_close((x**2).mean(axis=1), 1 + expected[t])
        found = x.var(axis=1)
        if not REGIMES[name].fresh_real:
            assert_close(found - variance.share[t] * first, variance.added[t])


@pytest.mark.parametrize("name", REGIMES)
def test_shares_of_displacements(name):
    """They sum to one, and give the second moment again: each kernel adds its variance."""
    iterations = 2 if name == "mixture" else 12
    shares = kernel_density.displacements(REGIMES[name], 10, iterations)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-12)
    assert np.all(shares >= 0) and shares[0, 0] == 1
    excess = kernel_density.mean_squared_norm_excess(
        REGIMES[name], 10, np.full(iterations, 0.3), 2, iterations
    )
    np.testing.assert_allclose(shares @ np.arange(iterations) * 0.18, excess, atol=1e-12)


@pytest.mark.parametrize("variance", [1e-3, 0.3, 50.0])
def test_densities_on_a_line(variance):
    pairs_of_points = (np.arange(2000) + 0.5)[:, None] / 2000 * 3
    between = kernel_density.density_between(pairs_of_points, pairs_of_points, np.array([variance]))
    line = kernel_density.density_on_a_line(np.array([variance]), 3)
    np.testing.assert_allclose(line, between, rtol=1e-5)


def markov_chain(n, p):
    """Distribution of the first fit and transitions of the counts of one outcome of two."""
    counts = np.arange(n + 1)
    return binom.pmf(counts, n, p), binom.pmf(counts, n, counts[:, None] / n)


def start(*probabilities):
    return discrete.Start.of(np.array(probabilities))


@pytest.mark.parametrize("first", [0.5, 0.1])
def test_gini_simpson_under_replace_is_that_of_the_markov_chain(first):
    n, p = 20, np.linspace(0, 1, 21)
    state, transition = markov_chain(n, first)
    for expected in discrete.gini_simpson(NAMED["replace"], n, start(first, 1 - first), 30):
        assert 2 * (state @ (p * (1 - p))) == pytest.approx(expected, rel=1e-10)
        state = state @ transition


@pytest.mark.parametrize("truth", [(1 / 3, 1 / 3, 1 / 3), (0.6, 0.3, 0.1)], ids=["even", "uneven"])
@pytest.mark.parametrize("name", [*WHOLE, "fresh in a budget", "window"])
def test_gini_simpson_against_simulation(name, truth):
    outcomes, numbers = np.arange(3), np.arange(3) - np.arange(3) @ truth

    def real(generator, shape):
        return generator.choice(outcomes, size=shape, p=truth)

    def resample(generator, training, size, t):
        chosen = generator.integers(training.shape[1], size=(len(training), size))
        return np.take_along_axis(training, chosen, axis=1)

    expected = discrete.gini_simpson(REGIMES[name], 5, start(*truth), 5)
    drift = pairs.variance_fractions(REGIMES[name], 5, 5).squared_error
    arrivals = pairs.whole_pools(REGIMES[name], 5, 5)
    known = discrete.gini_simpson_deviation(arrivals, 5, start(*truth))
    for t, x in enumerate(simulate(REGIMES[name], 5, 5, real, resample)):
        p = (x[:, :, None] == outcomes).mean(axis=1)
        gini, mean = 1 - (p**2).sum(axis=1), p @ numbers
        assert_close(gini, expected[t])
        if known is not None:
            assert_close((gini - expected[t]) ** 2, known[t] ** 2)
        assert_close(mean, 0)
        assert_close(mean**2, numbers**2 @ truth * drift[t])


@pytest.mark.parametrize("first", [0.5, 0.05])
@pytest.mark.parametrize("n", [1, 2, 5, 20])
def test_collapse_of_two_outcomes_is_that_of_the_markov_chain(n, first):
    state, transition = markov_chain(n, first)
    visits = np.linalg.solve(np.eye(n - 1) - transition[1:-1, 1:-1], np.ones(n - 1))
    expected = 1 + state[1:-1] @ visits
    found = discrete.iterations_to_collapse(n, start(first, 1 - first))
    assert found.mean == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("exponent", [0, 1.5])
def test_collapse_of_ten_outcomes_against_simulation(exponent):
    generator = np.random.default_rng(4)
    truth = np.arange(1.0, 11) ** -exponent
    counts = generator.multinomial(10, truth / truth.sum(), size=SEEDS)
    fits = np.ones(SEEDS)
    while (open_ := counts.max(axis=1) < 10).any():
        fits[open_] += 1
        counts[open_] = generator.multinomial(10, counts[open_] / 10)
    expected = discrete.iterations_to_collapse(10, start(*truth / truth.sum()))
    assert_close(fits, expected.mean)
    assert_close((fits - expected.mean) ** 2, expected.deviation**2)


@pytest.mark.parametrize(
    ("given", "factor"),
    [
        (discrete.uniform(2), 2 * np.log(2)),
        (discrete.uniform(10), 1.9),
        (discrete.uniform(10**6), 2),
        (start(0.7, 0.2, 0.1), -2 * (0.3 * np.log(0.3) + 0.8 * np.log(0.8) + 0.9 * np.log(0.9))),
    ],
)
def test_collapse_tends_to_the_diffusion_limit(given, factor):
    times = [discrete.iterations_to_collapse(n, given) for n in (10, 100, 2000)]
    limit = discrete.iterations_to_collapse(10**9, given)
    assert limit.mean / 10**9 == pytest.approx(factor, rel=3e-3)
    ratios = np.array([time.mean for time in times]) / (10, 100, 2000)
    gaps = 1 - ratios / limit.mean * 10**9
    assert 0 < gaps[2] < 2e-3 and gaps[2] < gaps[1] / 5 < gaps[0] / 25
    assert times[2].deviation / 2000 == pytest.approx(limit.deviation / 10**9, rel=3e-3)
    assert discrete.iterations_to_collapse(50, discrete.uniform(1)).mean == 1
