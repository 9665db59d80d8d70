"""Second moments of pairs of samples under any regime, and regimes without a memory."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

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


@functools.lru_cache(maxsize=256)
def variance_fractions(
    regime: Regime, n: int, iterations: int, unbiased: bool = False
) -> VarianceFractions:
    """Expected variance and squared error of the mean of a fit, under any regime.

    Equations (3) to (6) of ``docs/theory/pairs.md``. They hold for every model whose samples
    have, given its training set, the mean and the variance that were fitted: Gaussians, and the
    indicators of discrete outcomes.

    Parameters
    ----------
    regime : Regime
    n : int
        Number of initial real samples.
    iterations : int
        Number T of fits.
    unbiased : bool
        Is the fitted variance divided by N - 1, or by N (maximum likelihood)?

    Raises
    ------
    ValueError
        If ``unbiased`` and a training set has a single sample.
    """
    variance, squared_error = np.empty(iterations), np.empty(iterations)
    pairs = Pairs()
    pairs.add(TRUTH, 0.0, 0.0)
    for t in range(1, iterations + 1):
        # A new real sample is independent of all others, equation (6).
        m = pairs.enter(regime.pool(t, n), lambda: (pairs.matrix[0] + 0.5, 1.0))
        pool = int(m.sum())
        size = regime.training_size(t, n, pool)
        others = pairs.matrix @ m - pairs.matrix.diagonal()
        average = float(m @ others) / (pool * max(pool - 1, 1))
        likelihood = (1 - 1 / size) * average
        reported = average if unbiased else likelihood
        if unbiased and size < 2:
            raise ValueError(f"no unbiased variance of the single sample of iteration {t}")
        variance[t - 1] = reported
        squared_error[t - 1] = 2 * others[0] / pool - likelihood
        pairs.add(("synthetic", t), others / pool + (reported - likelihood) / 2, reported)
    return VarianceFractions(variance, squared_error)
