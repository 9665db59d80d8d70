"""Distributions over K outcomes (P2, appendix of the code): genetic drift to one outcome.

The fit is the observed frequencies. Repeated sampling from them loses outcomes, and lost outcomes
never return; the chain has collapsed when one outcome is left.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from collapse.families import declarations
from collapse.families.contract import ClosedForm, Family
from collapse.families.declarations import Expectation, Figure, Headline, Metric, Score, parameter
from collapse.families.simulator import Samples
from collapse.regimes import NAMED, Regime
from collapse.seeding import Streams
from collapse.theory import discrete as theory
from collapse.theory import selection, survival
from collapse.theory.pairs import covers, variance_fractions, whole_pools

Array = NDArray[np.float64]


class Parameters(declarations.Parameters):
    """Parameters of the discrete family."""

    outcomes: int = Field(default=10, ge=2, description="Number K of outcomes.")
    zipf_exponent: float = parameter(
        "Exponent s of Zipf's law, by which the true probability of outcome k = 1..K is in "
        "proportion to k^-s; 0 makes all outcomes equally likely.",
        default=0.0,
        ge=0,
        le=100,
    )
    probabilities: list[float] | None = parameter(
        "True probabilities of all K outcomes, which add up to 1; null: those of zipf_exponent.",
        default=None,
        min_length=2,
    )
    cap: int = parameter(
        "Number of iterations up to which a replace chain is followed until it "
        "collapses; chains of other regimes end with the last recorded iteration.",
        default=10_000_000,
        ge=1,
    )


class Counts(NamedTuple):
    """How often each outcome is in a set of samples (seeds, K), and the size of the set (seeds,).

    These are sums of the samples' weights: integers if all samples count the same.
    """

    counts: NDArray[Any]
    total: Array


class Simulator:
    """Discrete chains of several seeds."""

    exchangeable = True
    one_writer = False

    def __init__(self, parameters: Parameters, samples: int, streams: Streams) -> None:
        self.outcomes = parameters.outcomes
        self.truth = truth_of(parameters)
        self.cap = parameters.cap
        self.streams = streams
        self._iteration = 0
        self._collapse = np.full(len(streams), np.nan)

    def real(self, iteration: int, count: int) -> Samples:
        draws = np.empty((len(self.streams), count), dtype=np.int32)
        for row, generator in zip(
            draws, self.streams.each("real data", iteration, real=True), strict=True
        ):
            if (self.truth == self.truth[0]).all():
                row[:] = generator.integers(self.outcomes, size=count, dtype=np.int32)
            else:
                sums = np.cumsum(self.truth)
                places = generator.random(count) * sums[-1]
                row[:] = np.searchsorted(sums, places, side="right")
        return (draws,)

    def summarise(self, samples: Samples, weights: Array | None = None) -> Counts:
        (draws,) = samples
        of_seeds = [None] * len(draws) if weights is None else weights
        counts = np.stack(
            [
                np.bincount(row, one, minlength=self.outcomes)
                for row, one in zip(draws, of_seeds, strict=True)
            ]
        )
        return Counts(counts, counts.sum(axis=1))

    def weighted(self, statistics: Counts, factors: Array) -> Counts:
        counts = statistics.counts * factors[:, None]
        return Counts(counts, counts.sum(axis=1))

    def merge(self, pool: Counts, shard: Counts) -> Counts:
        return Counts(pool.counts + shard.counts, pool.total + shard.total)

    def fit(self, statistics: Counts) -> Counts:
        self._iteration += 1
        collapsed = (statistics.counts > 0).sum(axis=1) == 1
        self._collapse[collapsed & np.isnan(self._collapse)] = self._iteration
        return statistics

    def sample(
        self, model: Counts, count: int, iteration: int, *, each: int = 1, attempt: int = 0
    ) -> Samples:
        draws = np.empty((len(self.streams), count * each), dtype=np.int32)
        generators = self.streams.each("samples", iteration, attempt=attempt)
        whole = np.issubdtype(model.counts.dtype, np.integer)
        for seed, generator in enumerate(generators):
            sums = np.cumsum(model.counts[seed])
            if whole:
                positions = generator.integers(model.total[seed], size=draws.shape[1])
            else:
                positions = generator.random(draws.shape[1]) * sums[-1]
            draws[seed] = np.searchsorted(sums, positions, side="right")
        return (draws,)

    def score(self, name: str, samples: Samples) -> Array:
        return samples[0].astype(float)

    def sample_statistics(self, model: Counts, count: int, iteration: int) -> Counts:
        """Draw the counts of ``count`` samples: a multinomial over the outcomes that are left."""
        counts = np.zeros(model.counts.shape, dtype=np.int64)
        for seed, generator in enumerate(self.streams.each("statistics", iteration)):
            alive = np.flatnonzero(model.counts[seed])
            probabilities = model.counts[seed, alive] / model.total[seed]
            counts[seed, alive] = generator.multinomial(count, probabilities)
        return Counts(counts, counts.sum(axis=1))

    def evaluate(self, model: Counts) -> dict[str, Array]:
        entropy, gini, support, mean = np.empty((4, len(self.streams)))
        for seed, counts in enumerate(model.counts):
            probabilities = counts[counts > 0] / model.total[seed]
            # The absolute value turns the -0.0 of a single outcome into 0.
            entropy[seed] = abs((probabilities * np.log(probabilities)).sum())
            gini[seed] = 1 - (probabilities**2).sum()
            support[seed] = len(probabilities)
            mean[seed] = np.flatnonzero(counts) @ probabilities
        return {
            "entropy": entropy,
            "gini_simpson": gini,
            "support": support,
            "mean_outcome": mean,
        }

    def finish(
        self, model: Counts, iteration: int, later: Iterator[int] | None
    ) -> dict[str, Array]:
        """Follow replace chains to their collapse, or to the cap."""
        collapse = np.where(self._collapse <= self.cap, self._collapse, np.nan)
        if later is not None:
            generators = self.streams.each("beyond the record", iteration)
            # Training sets that grow without bound end the drift long before they exceed 2**53.
            countable = itertools.takewhile(lambda size: size < 2**53, later)
            copies = itertools.tee(countable, len(collapse))
            for seed, (generator, sizes) in enumerate(zip(generators, copies, strict=True)):
                if np.isnan(self._collapse[seed]):
                    alive = model.counts[seed][model.counts[seed] > 0]
                    limit = itertools.islice(sizes, max(0, self.cap - iteration))
                    collapse[seed] = iteration + _iterations_to_collapse(alive, limit, generator)
        return {"iterations_to_collapse": collapse}


def _iterations_to_collapse(
    counts: NDArray[np.int64], sizes: Iterator[int], generator: np.random.Generator
) -> float:
    """Resample counts until one outcome is left; return the iterations, or NaN if sizes end."""
    iterations = 0
    total = int(counts.sum())
    while len(counts) > 2:
        size = next(sizes, None)
        if size is None:
            return np.nan
        counts = generator.multinomial(size, counts / total)
        counts = counts[counts > 0]
        total = size
        iterations += 1
    if len(counts) == 1:
        return iterations
    # Half of all iterations have two outcomes left: a scalar binomial is then much cheaper.
    binomial, one = generator.binomial, int(counts[0])
    for iterations, size in enumerate(sizes, start=iterations + 1):  # noqa: B020
        one, total = binomial(size, one / total), size
        if one in (0, size):
            return iterations
    return np.nan


def truth_of(parameters: Parameters) -> Array:
    """Return the true probabilities, of shape (outcomes,)."""
    if parameters.probabilities is not None:
        truth = np.array(parameters.probabilities)
    else:
        truth = np.arange(1.0, parameters.outcomes + 1) ** -parameters.zipf_exponent
    return truth / truth.sum()


def problems(parameters: Parameters) -> Iterator[tuple[str, str]]:
    """Yield what contradicts a list of probabilities, or is no distribution."""
    given = parameters.probabilities
    if given is None:
        return
    if len(given) != parameters.outcomes:
        yield "probabilities", f"as many as outcomes, {parameters.outcomes}"
    elif min(given) < 0 or abs(sum(given) - 1) > 1e-6:
        yield "probabilities", "numbers that are not negative and add up to 1"
    if parameters.zipf_exponent:
        yield "zipf_exponent", "no exponent beside a list of probabilities"


def expectations(
    parameters: Parameters, regime: Regime, samples: int, iterations: int
) -> dict[str, Expectation]:
    """Return the expected index, mean and support, and the time to collapse under replace."""
    truth, page = truth_of(parameters), "docs/theory/discrete.md"
    if regime.select is not None:
        return _of_selection(truth, regime, samples, iterations)
    if not covers(regime):
        return {}
    start, numbers = theory.Start.of(truth), np.arange(len(truth))
    gini = theory.gini_simpson(regime, samples, start, iterations)
    drift = variance_fractions(regime, samples, iterations).squared_error
    arrivals = whole_pools(regime, samples, iterations)
    spread: Literal["exact", "scale"] = "exact"
    deviation = theory.gini_simpson_deviation(arrivals, samples, start)
    if deviation is None:
        deviation, spread = theory.gini_simpson_scale(gini, drift, start), "scale"
    mean = float(truth @ numbers)
    found = {
        "gini_simpson": Expectation(gini, f"{page}, eq. (1)", deviation, spread),
        "mean_outcome": Expectation(
            np.full(iterations, mean),
            f"{page}, eq. (2)",
            np.sqrt(truth @ (numbers - mean) ** 2 * drift),
        ),
        **_support(regime, samples, truth, iterations),
    }
    # Chains that collapse later than the cap are missing; they are one in e^40 at 40 times 2n.
    if regime == NAMED["replace"] and parameters.cap >= 80 * samples:
        mean, deviation_of_time = theory.iterations_to_collapse(samples, start)
        found["iterations_to_collapse"] = Expectation(
            np.asarray(mean), f"{page}, eq. (5)", np.asarray(deviation_of_time)
        )
    return found


def _of_selection(
    truth: Array, regime: Regime, samples: int, iterations: int
) -> dict[str, Expectation]:
    """Return the expected mean outcome, and score of kept samples, if the best are kept."""
    best = selection.best_of_outcomes(regime, samples, truth, iterations)
    if best is None:
        return {}
    page = "docs/theory/selection.md"
    return {
        "mean_outcome": Expectation(best.mean, f"{page}, eq. (6)", best.deviation, "most"),
        "score_of_kept": Expectation(best.kept, f"{page}, eq. (7)", best.kept_deviation, "most"),
    }


def _support(regime: Regime, samples: int, truth: Array, iterations: int) -> dict[str, Expectation]:
    """Return the expected number of outcomes that are left, or its bounds under replace."""
    page, chain = "docs/theory/survival.md", (regime, samples, truth, iterations)
    if (bounds := survival.support_bounds(*chain)) is not None:
        return {"support": Expectation(None, f"{page}, eq. (6)", **bounds._asdict())}
    if (kept := survival.kept_support(*chain)) is not None:
        along = [np.full(iterations, each) for each in (kept.mean, kept.deviation)]
        return {"support": Expectation(along[0], f"{page}, eq. (7)", along[1], kept.spread)}
    return {}


def seconds(parameters: Parameters, trained: Sequence[int], evaluated: int, whole: bool) -> float:
    """Estimate the core-seconds of one seed of a chain (measured on a 2020s server core)."""
    outcomes = parameters.outcomes
    recorded = len(trained) * (2e-5 + 1e-9 * outcomes) + 5e-8 * sum(
        min(n, outcomes) for n in trained
    )
    # Chains under replace are followed to their collapse, for 2n iterations on average.
    return recorded + (2 * trained[0] * 2e-6 if whole and trained[-1] == trained[0] else 0.0)


FAMILY = Family(
    name="discrete",
    parameters=Parameters,
    metrics={
        "entropy": Metric("entropy of the fitted distribution", units="nat"),
        "gini_simpson": Metric("probability that two draws of the fitted distribution differ"),
        "support": Metric("outcomes with a positive fitted probability"),
        "mean_outcome": Metric("mean of the fitted distribution over outcomes 0, 1, ..., K - 1"),
        "iterations_to_collapse": Metric(
            "iterations until one outcome is left (missing: not reached)", per_iteration=False
        ),
    },
    scores={"reward": Score("The reward of outcome k is k.", better="higher")},
    headline=Headline(
        "entropy",
        worse="lower",
        meaning="At 0 a single outcome is left; "
        "one that is lost never comes back from synthetic data.",
    ),
    figures=(
        Figure("entropy", "entropy", rows="outcomes", xscale="log"),
        Figure("support", "support", rows="outcomes", xscale="log", yscale="log"),
        Figure(
            "iterations-to-collapse",
            "iterations_to_collapse",
            rows=None,
            colour="outcomes",
            x="samples",
            xscale="log",
            yscale="log",
        ),
    ),
    minimum_samples=1,
    expectations=expectations,
    problems=problems,
    closed_form=ClosedForm(Simulator, seconds, version=3),
)
