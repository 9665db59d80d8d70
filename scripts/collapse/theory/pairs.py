"""Second moments of pairs of samples under any regime, and regimes without a memory."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from collapse.theory import weights

if TYPE_CHECKING:
    from collapse.regimes import Regime, Source

Array = NDArray[np.float64]

#: The true mean, as a source that no pool has samples of.
TRUTH = ("truth", 0)


class Pairs:
    """A symmetric table of moments v of two samples, for all sources that can still be in a pool.

    The diagonal is for two distinct samples of one source. All samples of a source are alike, so
    keeping a part of them (``keep_real`` = k < n) only changes its size.
    """

    def __init__(self) -> None:
        self.names: dict[tuple[str, int], None] = {}
        self._table = np.zeros((8, 8))

    @property
    def matrix(self) -> Array:
        """The moments, of shape (sources, sources)."""
        return self._table[: len(self.names), : len(self.names)]

    def add(self, name: tuple[str, int], row: Array | float, own: float) -> None:
        """Append a source, with its moments with each source before it (row) and within itself."""
        k = len(self.names)
        if k == len(self._table):
            self._table = np.pad(self._table, (0, k))
        self._table[k, :k] = self._table[:k, k] = row
        self._table[k, k] = own
        self.names[name] = None

    def enter(
        self, pool: Sequence[Source], real: Callable[[], tuple[Array | float, float]]
    ) -> Array:
        """Forget the sources that left and add the real ones that arrive.

        ``real`` returns the moments of a new real source. Returned is the number of samples that
        the pool has of each source in the table, of shape (sources,).
        """
        sizes: dict[tuple[str, int], int] = {(s.kind, s.iteration): s.size for s in pool}
        kept = [i for i, name in enumerate(self.names) if name in sizes or name == TRUTH]
        if len(kept) < len(self.names):
            names = list(self.names)
            self._table[: len(kept), : len(kept)] = self._table[np.ix_(kept, kept)]
            self.names = {names[i]: None for i in kept}
        for name in sizes:
            if name not in self.names:
                self.add(name, *real())
        return np.array([sizes.get(name, 0) for name in self.names], dtype=np.float64)


def memoryless_sizes(regime: Regime, n: int, iterations: int) -> list[int] | None:
    """Return the training-set sizes m_1..m_T if each fit sees the newest model alone, else None."""
    sizes = [n]
    if not regime.is_plain:
        return None
    for t in range(2, iterations + 1):
        pool = regime.pool(t, n)
        if [(source.kind, source.iteration) for source in pool] != [("synthetic", t - 1)]:
            return None
        sizes.append(regime.training_size(t, n, pool[0].size))
    return sizes


class Arrivals(NamedTuple):
    """What an iteration trains on if it is all that the one before did, or nothing of it.

    Attributes
    ----------
    kept : int
        Size of the training set of the iteration before if all of it stays, else 0.
    synthetic, fresh : int
        Numbers of new samples of the newest model, and of new real samples.
    """

    kept: int
    synthetic: int
    fresh: int

    @property
    def size(self) -> int:
        """Size of the training set."""
        return self.kept + self.synthetic + self.fresh


def whole_pools(regime: Regime, n: int, iterations: int) -> list[Arrivals] | None:
    """Return the arrivals of iterations 2..T if their statistics form a Markov chain, else None.

    They do if every training set is a whole pool, and every pool is that of the iteration before
    with new samples, or new samples alone; and if it is drawn from samples of the newest model.
    """
    arrivals = []
    if not regime.is_plain:
        return None
    for t in range(2, iterations + 1):
        before, pool = regime.pool(t - 1, n), regime.pool(t, n)
        new = {("synthetic", t - 1): 0, ("fresh", t): 0}
        new |= {(s.kind, s.iteration): s.size for s in pool if (s.kind, s.iteration) in new}
        rest = tuple(source for source in pool if (source.kind, source.iteration) not in new)
        if rest and rest != before:
            return None
        written, fresh = new.values()
        size = regime.training_size(t, n, sum(source.size for source in pool))
        if size != sum(source.size for source in pool):
            if rest or fresh:
                return None
            written = size
        arrivals.append(Arrivals(sum(source.size for source in rest), written, fresh))
    return arrivals


class VarianceFractions(NamedTuple):
    """Fitted variance and squared error of the mean, in units of σ0², each of shape (iterations,).

    In d dimensions these are E[tr Σ_t] and E[‖μ_t - μ0‖²], in units of tr Σ0.
    """

    variance: Array
    squared_error: Array


Estimator = Literal["maximum-likelihood", "unbiased", "within-sources"]


def covers(regime: Regime) -> bool:
    """Tell whether `variance_fractions` knows the moments of a regime.

    Selection and scores depend on the values of samples, and shares of random numbers of samples
    on these numbers. Populations have moments of their own (`collapse.theory.populations`).
    """
    if regime.population is not None:
        return False
    if regime.select is not None or (regime.weigh is not None and regime.weigh.score is not None):
        return False
    shares = regime.weigh is not None and regime.weigh.real is not None
    return not (regime.provenance == "bernoulli" and shares and regime.fresh_real != 0)


@functools.lru_cache(maxsize=256)
def variance_fractions(
    regime: Regime, n: int, iterations: int, estimator: Estimator = "maximum-likelihood"
) -> VarianceFractions:
    """Expected variance and squared error of the mean of a fit, under regimes that it `covers`.

    Equations (3) to (6) of ``docs/theory/pairs.md``, with weights (2) to (7) of
    ``docs/theory/weights.md``. They hold for every model whose samples have, given its training
    set, the mean and the variance that were fitted: Gaussians, and the indicators of discrete
    outcomes.

    Parameters
    ----------
    regime : Regime
    n : int
        Number of initial real samples.
    iterations : int
        Number T of fits.
    estimator : {"maximum-likelihood", "unbiased", "within-sources"}
        Is the fitted variance divided by N or N - 1, or is it the weighted mean of the unbiased
        variances of the sources?

    Raises
    ------
    ValueError
        If the variance is not maximum-likelihood and a training set has a single sample.
    """
    variance, squared_error = np.empty(iterations), np.empty(iterations)
    pairs = Pairs()
    pairs.add(TRUTH, 0.0, 0.0)
    for t in range(1, iterations + 1):
        # A new real sample is independent of all others, equation (6).
        m = pairs.enter(_mixed(regime, t, n), lambda: (pairs.matrix[0] + 0.5, 1.0))
        pool = int(m.sum())
        size = regime.training_size(t, n, pool)
        if size < 2 and estimator != "maximum-likelihood":
            raise ValueError(f"no unbiased variance of the single sample of iteration {t}")
        if t == 1 or regime.weigh is None:
            others = pairs.matrix @ m - pairs.matrix.diagonal()
            average = float(m @ others) / (pool * max(pool - 1, 1))
            likelihood = (1 - 1 / size) * average
            shares, with_samples, unbiased = m / pool, others / pool, average
        else:
            is_real = np.array([kind in ("real", "fresh") for kind, _ in pairs.names])
            fitted = weights.fit(regime, t, n, m, is_real, pairs.matrix)
            shares, likelihood = fitted.shares, fitted.likelihood
            with_samples = weights.with_samples(shares, m, pairs.matrix)
            unbiased = likelihood / fitted.divisor if fitted.divisor > 0 else np.nan
        reported = likelihood if estimator == "maximum-likelihood" else unbiased
        if estimator == "within-sources" and regime.trains_on_whole_pools:
            reported = float(shares @ pairs.matrix.diagonal())
        variance[t - 1] = reported
        squared_error[t - 1] = 2 * with_samples[0] - likelihood
        row = with_samples + (reported - likelihood) / 2
        _add_written(pairs, regime, t, n, row, reported)
    return VarianceFractions(variance, squared_error)


def _mixed(regime: Regime, t: int, n: int) -> list[Source]:
    """Return the pool; samples that are real at random are of one source with the synthetic ones.

    It has the name of the synthetic one.
    """
    pool = regime.pool(t, n)
    if regime.provenance == "fixed" or t == 1:
        return list(pool)
    fresh = {s.iteration: s.size for s in pool if s.kind == "fresh"}
    return [
        s._replace(size=s.size + fresh.pop(s.iteration + 1, 0)) if s.kind == "synthetic" else s
        for s in pool
        if s.kind != "fresh" or not regime.generated(s.iteration, n)
    ]


def _add_written(pairs: Pairs, regime: Regime, t: int, n: int, row: Array, own: float) -> None:
    """Add what arrives after a fit: samples of its model, some of them real at random."""
    written, fresh = regime.generated(t + 1, n), regime.fresh(t + 1, n)
    if regime.provenance == "bernoulli" and written and fresh:
        real = fresh / (fresh + written)
        cross = row[0] + 0.5  # of a real sample and one of the model
        own = real**2 + 2 * real * (1 - real) * cross + (1 - real) ** 2 * own
        row = real * (pairs.matrix[0] + 0.5) + (1 - real) * row
    pairs.add(("synthetic", t), row, own)
