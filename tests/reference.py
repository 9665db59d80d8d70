"""A plain loop, as an author of a paper would write it: one seed, and every sample is kept.

Each iteration concatenates its pool, draws its training set from it, fits from scratch and
samples. The loop shares the regimes (`collapse.regimes`) and the grid keys with the package, but
neither vectorises over seeds, nor merges statistics, nor names random streams. Tests and the
benchmark compare the package with it.
"""

from collections import defaultdict

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import expit, gammaln, xlogy
from sklearn import datasets
from sklearn.neighbors import KernelDensity

from collapse import families

TEST_POINTS, TEST_ROWS = 500, 1000

#: All iterations.
ALL = range(1, 10**9)


def reference_chain(family, parameters, regime, samples, iterations, generator, evaluated=ALL):
    """Run one seed of one chain.

    Parameters
    ----------
    family : str
        A family of the package, or ``kernel_density_by_tree`` for scikit-learn's own scores.
    parameters : dict
        Grid keys of the family; those that are left out have the package's defaults.
    regime : collapse.regimes.Regime
    samples, iterations : int
    generator : numpy.random.Generator
    evaluated : container of int
        The iterations whose metrics are returned; all of them by default.

    Returns
    -------
    dict of str to ndarray, shape (evaluated iterations,)
        The metrics that the package records.
    """
    model = MODELS[family](parameters, samples, generator)
    metrics = defaultdict(list)
    real, synthetic = {1: model.real(samples)}, {}
    for t in range(1, iterations + 1):
        if t > 1:
            written, fresh = regime.generated(t, samples), regime.fresh(t, samples)
            arriving = written + fresh
            if regime.provenance == "fixed":
                new, old = np.arange(arriving) < fresh, np.arange(arriving) < written
            else:
                new = generator.random(arriving) < fresh / arriving
                old = ~new
            real[t] = model.real(arriving)[new] if new.any() else real[1][:0]
            synthetic[t - 1] = select(regime.select, model, arriving, generator)[old]
        training, weights = training_set(regime, t, samples, real, synthetic, model, generator)
        model.fit(training, weights)
        for name, value in model.evaluate().items() if t in evaluated else ():
            metrics[name].append(value)
    return {name: np.array(values) for name, values in metrics.items()}


def training_set(regime, t, n, real, synthetic, model, generator):
    """Return the samples of iteration t, and their weights; None if all count the same."""
    if t == 1:
        return real[1], None
    arrivals = range(regime.oldest_arrival(t), t + 1)
    kept = real[1][: regime.kept_real(n)]
    kinds = (
        np.concatenate([kept, *(real[arrival] for arrival in arrivals)]),
        np.concatenate([synthetic[arrival - 1] for arrival in arrivals]),
    )
    pool = np.concatenate(kinds)
    is_real = np.arange(len(pool)) < len(kinds[0])
    if regime.weigh is None:
        if regime.budget is None:
            return pool, None
        budget = regime.training_size(t, n, len(pool))
        return pool[generator.choice(len(pool), budget, replace=False)], None
    weights = np.ones(len(pool))
    if regime.weigh.score:
        of_score = model.score(regime.weigh.score, kinds[1])
        weights[~is_real] = of_score**regime.weigh.power
        weights[~is_real] /= weights[~is_real].mean()
    share = regime.weigh.real_share(t)
    if share is not None and 0 < is_real.mean() < 1:
        weights[is_real] *= share / weights[is_real].sum()
        weights[~is_real] *= (1 - share) / weights[~is_real].sum()
    if regime.budget is None:
        return pool, weights
    budget = regime.training_size(t, n, len(pool))
    chances = weights / weights.sum()
    if share is None or regime.provenance == "bernoulli":
        return pool[generator.choice(len(pool), budget, p=chances)], None
    of_real = int(share * budget + 0.5)
    rows = [
        generator.choice(np.flatnonzero(kind), count, p=chances[kind] / chances[kind].sum())
        for kind, count in ((is_real, of_real), (~is_real, budget - of_real))
        if count
    ]
    return pool[np.concatenate(rows)], None


def select(how, model, count, generator):
    """Return the samples of ``count`` slots, each chosen among candidates."""
    if how is None or count == 0:
        return model.sample(count)
    drawn = [model.sample(count) for _ in range(how.candidates)]
    sign = families.load(model.family).scores[how.score].sign
    kept = []
    for candidates in zip(*drawn, strict=True):
        scores = sign * model.score(how.score, np.array(candidates))
        if how.rule == "threshold":
            passes = scores >= sign * how.threshold
            passes ^= generator.random(len(passes)) < how.error
            kept.append(candidates[np.flatnonzero(passes)[0]])
            continue
        if generator.random() < how.error:
            scores = -scores
        if how.rule == "best":
            kept.append(candidates[scores.argmax()])
        else:
            chances = np.exp((scores - scores.max()) / how.temperature)
            kept.append(candidates[generator.choice(len(scores), p=chances / chances.sum())])
    return np.array(kept)


class Gaussian:
    """Fit the sample mean and covariance."""

    family = "gaussian"

    def __init__(self, parameters, samples, generator):
        self.parameters = families.load("gaussian").parameters(**parameters)
        self.generator = generator

    def real(self, count):
        scale = np.sqrt(self.parameters.variance)
        return self.generator.normal(scale=scale, size=(count, self.parameters.dimension))

    def fit(self, training, weights=None):
        ddof = int(self.parameters.estimator == "unbiased")
        self.mean = np.average(training, axis=0, weights=weights)
        covariance = np.cov(training, rowvar=False, ddof=ddof, aweights=weights)
        self.covariance = np.atleast_2d(covariance)

    def score(self, name, samples):
        gap = np.sum((samples - self.parameters.target) ** 2, axis=1)
        return {"distance": np.sqrt(gap), "reward": -gap / 2}[name]

    def sample(self, count):
        return self.generator.multivariate_normal(self.mean, self.covariance, size=count)

    def evaluate(self):
        truth = self.parameters.variance * np.eye(self.parameters.dimension)
        return {
            "squared_error_of_mean": np.sum(self.mean**2),
            "trace_ratio": np.trace(self.covariance) / np.trace(truth),
            "log_determinant_ratio": np.linalg.slogdet(self.covariance)[1]
            - np.linalg.slogdet(truth)[1],
        }


class LinearRegression:
    """Fit least squares; a row of the training set has the features, and the label last."""

    family = "linear_regression"

    def __init__(self, parameters, samples, generator):
        self.parameters = families.load("linear_regression").parameters(**parameters)
        self.generator = generator
        dimension = self.parameters.dimension
        self.scale = np.arange(1, dimension + 1) ** (-self.parameters.covariance_decay / 2)
        self.truth = generator.standard_normal(dimension)
        self.design = self.features(samples)

    def features(self, count):
        return self.generator.standard_normal((count, len(self.truth))) * self.scale

    def labelled(self, weights, count):
        if self.parameters.design == "fresh":
            rows = self.features(count)
        else:
            rows = np.resize(self.design, (count, len(weights)))
        noise = np.sqrt(self.parameters.noise_variance) * self.generator.standard_normal(count)
        return np.column_stack((rows, rows @ weights + noise))

    def real(self, count):
        return self.labelled(self.truth, count)

    def fit(self, training, weights=None):
        rows, labels = training[:, :-1], training[:, -1]
        if weights is not None:
            root = np.sqrt(weights / weights.mean())
            rows, labels = rows * root[:, None], labels * root
        self.weights = np.linalg.pinv(rows) @ labels  # as P1 writes it

    def score(self, name, samples):
        return abs(samples[:, -1] - samples[:, :-1] @ self.truth)

    def sample(self, count):
        return self.labelled(self.weights, count)

    def evaluate(self):
        """Return the expected error on noiseless test data; the authors used 1000 test points."""
        return {"test_error": np.sum(((self.weights - self.truth) * self.scale) ** 2)}


class KernelDensityEstimate:
    """Use scikit-learn's data sets and bandwidth rules; sum densities over all pairs of points."""

    family = "kernel_density"

    def __init__(self, parameters, samples, generator):
        self.parameters = families.load("kernel_density").parameters(**parameters)
        self.generator = generator
        self.centres = generator.uniform(-10, 10, size=(3, 2))
        self.test = self.real(TEST_POINTS)

    def real(self, count):
        seed = int(self.generator.integers(2**32))
        if self.parameters.dataset == "blobs":
            return datasets.make_blobs(count, centers=self.centres, random_state=seed)[0]
        make = getattr(datasets, f"make_{self.parameters.dataset}")
        return make(count, noise=0.05, random_state=seed)[0]

    def fit(self, training, weights=None):
        self.training = training
        self.weights = np.ones(len(training)) if weights is None else weights / weights.sum()
        self.weights = self.weights / self.weights.sum()
        count, dimension = 1 / (self.weights**2).sum(), training.shape[1]
        rule = self.parameters.bandwidth
        if isinstance(rule, float):
            self.bandwidth = rule
            return
        size = count if rule.startswith("scott") else count * (dimension + 2) / 4
        self.bandwidth = size ** (-1 / (dimension + 4))
        if rule.endswith("-scaled"):
            mean = self.weights @ training
            self.bandwidth *= np.sqrt(self.weights @ ((training - mean) ** 2).mean(axis=1))

    def score(self, name, samples):
        return np.sqrt(np.sum((samples - self.parameters.target) ** 2, axis=1))

    def sample(self, count):
        chosen = self.training[self.generator.choice(len(self.training), count, p=self.weights)]
        steps = self.generator.standard_normal(chosen.shape)
        if self.parameters.kernel == "tophat":
            steps /= np.linalg.norm(steps, axis=1, keepdims=True)
            steps *= self.generator.random((count, 1)) ** (1 / chosen.shape[1])
        return chosen + self.bandwidth * steps

    def log_density(self):
        """Return the log-density at the test points."""
        dimension = self.training.shape[1]
        distances = cdist(self.test, self.training) / self.bandwidth
        if self.parameters.kernel == "gaussian":
            exponents = -(distances**2) / 2
            largest = exponents.max(axis=1, keepdims=True)  # whose exponential may be 0
            logarithms = np.log(np.exp(exponents - largest) @ self.weights) + largest[:, 0]
            volume = dimension / 2 * np.log(2 * np.pi)
        else:
            with np.errstate(divide="ignore"):
                logarithms = np.log((distances < 1) @ self.weights)
            volume = dimension / 2 * np.log(np.pi) - gammaln(dimension / 2 + 1)
        return logarithms - volume - dimension * np.log(self.bandwidth)

    def evaluate(self):
        return {
            "test_nll": -self.log_density().mean(),
            "mean_squared_norm": (self.training**2).sum(axis=1) @ self.weights,
        }


class KernelDensityByTree(KernelDensityEstimate):
    """Evaluate densities with scikit-learn's KernelDensity, which is inaccurate at far points."""

    def log_density(self):
        model = KernelDensity(bandwidth=self.bandwidth, kernel=self.parameters.kernel)
        return model.fit(self.training).score_samples(self.test)


class Discrete:
    """Fit the observed frequencies."""

    family = "discrete"

    def __init__(self, parameters, samples, generator):
        given = families.load("discrete").parameters(**parameters)
        self.outcomes, self.generator = given.outcomes, generator
        powers = np.arange(1, given.outcomes + 1) ** -given.zipf_exponent
        self.truth = given.probabilities or powers / powers.sum()

    def real(self, count):
        return self.generator.choice(self.outcomes, size=count, p=self.truth)

    def fit(self, training, weights=None):
        counts = np.bincount(training, weights, minlength=self.outcomes)
        self.frequencies = counts / counts.sum()

    def score(self, name, samples):
        return samples.astype(float)

    def sample(self, count):
        return self.generator.choice(self.outcomes, size=count, p=self.frequencies)

    def evaluate(self):
        positive = self.frequencies[self.frequencies > 0]
        return {
            "entropy": -np.sum(positive * np.log(positive)),
            "gini_simpson": 1 - np.sum(positive**2),
            "support": len(positive),
        }


class LogisticRegression:
    """Fit by iteratively reweighted least squares; a row has the features, and the label last."""

    family = "logistic_regression"

    def __init__(self, parameters, samples, generator):
        self.parameters = families.load(self.family).parameters(**parameters)
        self.generator = generator
        direction = generator.standard_normal(self.parameters.dimension)
        direction *= self.parameters.norm / np.linalg.norm(direction)
        self.truth = np.append(self.parameters.intercept, direction)
        self.design = self.features(samples)
        self.test = self.features(TEST_ROWS)

    def features(self, count):
        rows = self.generator.standard_normal((count, self.parameters.dimension))
        return np.column_stack((np.ones(count), rows))

    def mean(self, rows, weights):
        return expit(rows @ weights)

    def variance(self, mean):
        return mean * (1 - mean)

    def labels(self, mean):
        return self.generator.random(len(mean)) < mean

    def labelled(self, weights, count):
        if self.parameters.design == "fresh":
            rows = self.features(count)
        else:
            rows = np.resize(self.design, (count, len(weights)))
        return np.column_stack((rows, self.labels(self.mean(rows, weights))))

    def real(self, count):
        return self.labelled(self.truth, count)

    def fit(self, training, weights=None):
        rows, labels = training[:, :-1], training[:, -1]
        counts = np.ones(len(rows)) if weights is None else weights / weights.mean()
        self.weights = np.append(self.start(labels), np.zeros(rows.shape[1] - 1))
        for _ in range(25):
            mean = self.mean(rows, self.weights)
            root = np.sqrt(self.variance(mean) * counts) + 1e-12
            left = counts * (labels - mean) / root
            step = np.linalg.lstsq(rows * root[:, None], left, rcond=None)[0]
            self.weights = self.weights + step
            if np.abs(step).max() < 1e-10:  # the next one would be its square
                break

    def start(self, labels):
        return 0.0

    def score(self, name, samples):
        likelier = self.mean(samples[:, :-1], self.truth) > 0.5
        return ((samples[:, -1] > 0.5) == likelier).astype(float)

    def sample(self, count):
        return self.labelled(self.weights, count)

    def evaluate(self):
        label, found = self.mean(self.test, self.truth), self.mean(self.test, self.weights)
        losses = -xlogy(label, found) - xlogy(1 - label, 1 - found)
        errors = np.abs(label - (found > 0.5))
        return {"test_log_loss": losses.mean(), "test_error_rate": errors.mean()}


class PoissonRegression(LogisticRegression):
    """Fit by iteratively reweighted least squares, from the mean count on."""

    family = "poisson_regression"

    def mean(self, rows, weights):
        return np.exp(rows @ weights)

    def variance(self, mean):
        return mean

    def score(self, name, samples):
        return abs(samples[:, -1] - self.mean(samples[:, :-1], self.truth))

    def labels(self, mean):
        return self.generator.poisson(mean)

    def start(self, labels):
        return np.log(labels.mean())

    def evaluate(self):
        label, found = self.mean(self.test, self.truth), self.mean(self.test, self.weights)
        return {
            "test_deviance": 2 * (xlogy(label, label / found) - label + found).mean(),
            "squared_error_of_weights": np.sum((self.weights - self.truth) ** 2),
        }


def reference_collapse(outcomes, samples, generator):
    """Resample a discrete distribution until its entropy is below 1e-8; return the fits it took."""
    model = Discrete({"outcomes": outcomes}, samples, generator)
    model.fit(model.real(samples))
    iterations = 1
    while model.evaluate()["entropy"] > 1e-8:
        model.fit(model.sample(samples))
        iterations += 1
    return iterations


MODELS = {
    "gaussian": Gaussian,
    "linear_regression": LinearRegression,
    "kernel_density": KernelDensityEstimate,
    "kernel_density_by_tree": KernelDensityByTree,
    "discrete": Discrete,
    "logistic_regression": LogisticRegression,
    "poisson_regression": PoissonRegression,
}
