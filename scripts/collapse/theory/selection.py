"""Selection: what keeping the best of several candidates does to a distribution.

Derivations are in ``docs/theory/selection.md``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collapse.regimes import Regime

Array = NDArray[np.float64]

#: Largest training set for which the chain of counts is followed exactly.
LARGEST_COUNT = 2000


class Curated(NamedTuple):
    """Variance, and distance of the mean from the true mean, per dimension: (iterations,) each."""

    variance: Array
    mean: Array


def curated_gaussian(
    variance: float, target: float, temperature: float, iterations: int
) -> Curated:
    """Return a Gaussian of which softmax keeps samples by reward -(x - c)² / 2, in the limit.

    Equations (3) and (4) of ``docs/theory/selection.md`` (Ferbach et al. 2024): of infinitely many
    candidates and samples, each iteration trains on the newest model's density times
    exp(reward / τ). The true mean is 0.

    Parameters
    ----------
    variance : float
        True variance σ0².
    target : float
        Each coordinate c of the point where the reward is largest.
    temperature : float
        Temperature τ, in units of the reward.
    iterations : int
    """
    selections = np.arange(iterations)
    precision = 1 / variance + selections / temperature
    return Curated(1 / precision, target * selections / temperature / precision)


def best_of(distribution: Array, candidates: int, error: float = 0.0) -> Array:
    """Return P(the kept outcome is at most x), if the best of several candidates is kept.

    Equation (5) of ``docs/theory/selection.md``.

    Parameters
    ----------
    distribution : ndarray
        Values F(x) of the cumulative distribution of a candidate, in ascending order of the score.
    candidates : int
        Number K of candidates.
    error : float
        Probability that the worst is kept instead.
    """
    worst = 1 - (1 - distribution) ** candidates
    return np.asarray((1 - error) * distribution**candidates + error * worst)


class BestOutcomes(NamedTuple):
    """Expected mean outcome, and mean score of the kept samples that arrive: (iterations,) each.

    The deviations are at least those over seeds.
    """

    mean: Array
    deviation: Array
    kept: Array
    kept_deviation: Array


def best_of_outcomes(
    regime: Regime, n: int, probabilities: Array, iterations: int
) -> BestOutcomes | None:
    """Return the mean of a chain whose reward is the number of the outcome, exactly.

    Equations (6) and (7) of ``docs/theory/selection.md``: the number of samples with an outcome of
    at most x is a Markov chain. It is None unless each iteration trains on all it ever saw, or on
    the newest samples alone, keeps the best candidates, and has few enough samples.
    """
    select = regime.select
    simple = select is not None and select.rule == "best" and regime.weigh is None
    if not simple or regime.fresh_real != 0 or not regime.trains_on_whole_pools or select is None:
        return None
    everything = regime.memory is None and regime.kept_real(n) == n
    newest = regime.memory == 1 and regime.kept_real(n) == 0
    if not (everything or newest) or max(regime.pool_sizes(iterations, n)) > LARGEST_COUNT:
        return None
    rows = [
        _threshold(regime, n, below, iterations, everything)
        for below in np.cumsum(probabilities)[:-1]
    ]
    moments = np.array(rows)
    # The deviation of a sum is at most the sum of deviations, as if all thresholds moved together.
    mean, deviation = moments[:, 0].sum(axis=0), np.sqrt(moments[:, 1]).sum(axis=0)
    kept, kept_deviation = moments[:, 2].sum(axis=0), np.sqrt(moments[:, 3]).sum(axis=0)
    most = len(probabilities) - 1
    return BestOutcomes(most - mean, deviation, most - kept, kept_deviation)


def _threshold(
    regime: Regime, n: int, below: float, iterations: int, everything: bool
) -> NDArray[np.float64]:
    """Return moments of the share of samples at or below an outcome, of which ``below`` are real.

    They are its mean and variance, and those of the share of the kept samples that arrived, of
    shape (4, iterations).
    """
    from scipy.stats import binom

    select = regime.select
    if select is None:
        raise TypeError("the regime selects no samples")
    size = n
    law = binom.pmf(np.arange(n + 1), n, below)
    moments = np.full((4, iterations), np.nan)
    for t in range(1, iterations + 1):
        shares = np.arange(size + 1) / size
        moments[0, t - 1], moments[1, t - 1] = _moments(law, shares)
        if t == iterations:
            break
        new = regime.generated(t + 1, n)
        accepted = best_of(shares, select.candidates, select.error)
        moments[2, t] = law @ accepted
        spread = law @ (accepted**2 + accepted * (1 - accepted) / new)
        moments[3, t] = max(spread - moments[2, t] ** 2, 0)
        arriving = binom.pmf(np.arange(new + 1), new, accepted[:, None])
        if not everything:
            law, size = law @ arriving, new
            continue
        grown = np.zeros(size + new + 1)
        for count, probability in enumerate(law):
            grown[count : count + new + 1] += probability * arriving[count]
        law, size = grown, size + new
    return moments


def _moments(law: Array, values: Array) -> tuple[float, float]:
    mean = float(law @ values)
    return mean, max(float(law @ values**2) - mean**2, 0.0)
