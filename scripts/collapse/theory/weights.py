"""Weighted samples: second moments of a fit, and the best weight of real data.

Derivations are in ``docs/theory/weights.md``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collapse.regimes import Regime

Array = NDArray[np.float64]


class Fit(NamedTuple):
    """Second moments of a fit to a weighted training set.

    Attributes
    ----------
    shares : ndarray, shape (sources,)
        Share of each source in all weight, or in what is drawn.
    likelihood : float
        Expected maximum-likelihood variance.
    divisor : float
        What it is divided by to be unbiased: 1 - 1/N, of the effective size N.
    """

    shares: Array
    likelihood: float
    divisor: float


def fit(
    regime: Regime, t: int, n: int, sizes: Array, is_real: NDArray[np.bool_], moments: Array
) -> Fit:
    """Return the second moments of the fit of iteration t under a regime that weighs its data.

    Equations (2) to (5) of ``docs/theory/weights.md``.

    Parameters
    ----------
    regime : Regime
        Its weights are of kinds, not of scores.
    t, n : int
    sizes : ndarray, shape (sources,)
        Number of samples of each source in the pool.
    is_real : ndarray of bool, shape (sources,)
    moments : ndarray, shape (sources, sources)
        The moments v of pairs of samples.
    """
    total = sizes.sum()
    kinds = [np.where(is_real, sizes, 0.0), np.where(is_real, 0.0, sizes)]
    real_share, given = _real_share(regime, t, kinds)
    budget = None if t == 1 else regime.budget
    drawn = regime.training_size(t, n, int(total)) if budget is not None else 0
    fixed = regime.provenance == "fixed" and given
    if drawn and fixed:
        real_share = int(real_share * drawn + 0.5) / drawn
    each = [np.divide(kind, kind.sum(), where=kind.sum() > 0, out=0 * kind) for kind in kinds]
    shares = real_share * each[0] + (1 - real_share) * each[1]
    if not drawn:
        squares = _squares(shares, sizes)
        return Fit(shares, _pairs(shares, sizes, moments), 1 - float(squares.sum()))
    if not fixed:
        likelihood = (1 - 1 / drawn) * _pairs(shares, sizes, moments)
        return Fit(shares, likelihood, 1 - 1 / drawn)
    of_real = round(real_share * drawn)
    numbers = of_real, drawn - of_real
    within = sum(
        number * (number - 1) * _pairs(one, sizes, moments)
        for number, one in zip(numbers, each, strict=True)
    )
    between = 2 * numbers[0] * numbers[1] * float(each[0] @ moments @ each[1])
    return Fit(shares, (within + between) / drawn**2, 1 - 1 / drawn)


def shares_of(regime: Regime, t: int, sizes: Array, is_real: NDArray[np.bool_]) -> Array:
    """Return the share of each source in all weight, if whole pools are trained on: (sources,).

    The parameters are those of `fit`.
    """
    kinds = [np.where(is_real, sizes, 0.0), np.where(is_real, 0.0, sizes)]
    real_share, _ = _real_share(regime, t, kinds)
    each = [np.divide(kind, kind.sum(), where=kind.sum() > 0, out=0 * kind) for kind in kinds]
    return np.asarray(real_share * each[0] + (1 - real_share) * each[1])


def _real_share(regime: Regime, t: int, kinds: list[Array]) -> tuple[float, bool]:
    """Return the share of real samples, and whether the regime says it."""
    real, synthetic = (float(kind.sum()) for kind in kinds)
    share = regime.weigh.real_share(t) if t > 1 and regime.weigh is not None else None
    if share is None or min(real, synthetic) == 0:
        return real / (real + synthetic), share is not None
    return share, True


def _squares(shares: Array, sizes: Array) -> Array:
    """Return the sum of squared weights of each source's samples: (sources,)."""
    return np.divide(shares**2, sizes, out=np.zeros_like(shares), where=sizes > 0)


def _pairs(shares: Array, sizes: Array, moments: Array) -> float:
    """Return the weighted average of v over pairs, of which those of a sample with itself are 0."""
    own = _squares(shares, sizes) @ moments.diagonal()
    return float(shares @ moments @ shares - own)


def with_samples(shares: Array, sizes: Array, moments: Array) -> Array:
    """Return the average of v between a sample of each source and the training set: (sources,).

    A sample that is in the training set meets itself at no distance.
    """
    own = np.divide(shares, sizes, out=np.zeros_like(shares), where=sizes > 0)
    return np.asarray(moments @ shares - own * moments.diagonal())


def risk(weight: float | Array, real_per_synthetic: float) -> Array:
    """Return R(w): the limit of n E(μ_t - μ0)² / σ², if real samples have the share w.

    Equation (8) of ``docs/theory/weights.md`` (He et al. 2025). Each iteration trains on n fresh
    real samples and n/k of the newest model; the covariance is that of the sources, unbiased.

    Parameters
    ----------
    weight : float or ndarray
        Share w of real data in all weight, above 0.
    real_per_synthetic : float
        Number k of real samples for each synthetic one.
    """
    w = np.asarray(weight, dtype=np.float64)
    return np.asarray((w**2 + real_per_synthetic * (1 - w) ** 2) / (w * (2 - w)))


def best_weight(real_per_synthetic: float) -> float:
    """Return the weight w* that minimises `risk`; there R(w*) = w*.

    Equation (9) of ``docs/theory/weights.md``; for k = 1 it is the inverse golden ratio.
    """
    k = real_per_synthetic
    return float((np.sqrt(k**2 + 4 * k) - k) / 2)


def stream_squared_error_of_covariance(
    regime: Regime, n: int, dimension: int, iterations: int
) -> Array | None:
    """E‖Σ_t - Σ0‖² of a Gaussian whose covariance is that of its sources, in units of σ0⁴.

    Equation (10) of ``docs/theory/weights.md``. It is None unless each iteration trains on fresh
    real samples and those of the newest model, all of them, with fixed numbers and a share.
    Shape (iterations,).
    """
    shares = regime.weigh is not None and regime.weigh.score is None
    alone = regime.memory == 1 and regime.kept_real(n) == 0 and regime.trains_on_whole_pools
    if not (shares and alone and regime.provenance == "fixed") or regime.select is not None:
        return None
    d, found = dimension, np.empty(iterations)
    squared, of_square = _wishart_moments(d * d, d, n)  # E(tr Σ)² and E tr Σ²
    for t in range(1, iterations + 1):
        found[t - 1] = max(of_square - d, 0)
        fresh, written = regime.fresh(t + 1, n), regime.generated(t + 1, n)
        share = regime.weigh.real_share(t + 1) if regime.weigh is not None else None
        if min(fresh, written) < 2 or share is None:
            return found if t == iterations else None
        real = _wishart_moments(d * d, d, fresh)
        model = _wishart_moments(squared, of_square, written)
        squared, of_square = (
            share**2 * of_real + (1 - share) ** 2 * of_model + 2 * share * (1 - share) * cross
            for of_real, of_model, cross in zip(real, model, (d * d, d), strict=True)
        )
    return found


def _wishart_moments(squared: float, of_square: float, samples: int) -> tuple[float, float]:
    """Return E(tr S)² and E tr S² of an unbiased covariance S of samples of a random Σ."""
    freedom = samples - 1
    return squared + 2 * of_square / freedom, of_square + (squared + of_square) / freedom
