"""Expected second moments of populations that train on whole pools (docs/theory/populations.md)."""

from __future__ import annotations

import numpy as np

from collapse.regimes import Regime, counts
from collapse.theory.pairs import VarianceFractions


def population_fractions(
    regime: Regime, n: int, iterations: int, *, unbiased: bool
) -> VarianceFractions | None:
    """Return the expected variance and squared error of the mean of each model of a population.

    Equations (1) to (4) of ``docs/theory/populations.md``, for the models that
    `collapse.theory.pairs.variance_fractions` is about.

    Parameters
    ----------
    regime : Regime
        With a population.
    n : int
        Number of initial real samples of a model.
    iterations : int
        Number T of fits.
    unbiased : bool
        Whether the fitted variance is divided by the number of samples less one.

    Returns
    -------
    VarianceFractions or None
        Arrays of shape (iterations, models); None for regimes with a budget, weights, numbers of
        samples that are random, or a memory of several iterations.
    """
    population = regime.population
    plain = regime.weigh is None and regime.select is None and regime.provenance == "fixed"
    whole = regime.trains_on_whole_pools and regime.memory in (None, 1)
    if population is None or not (plain and whole):
        return None
    shares, kept = population.shares, regime.kept_real(n)
    # Covariances of the means of as many real samples as 1, of any two models.
    real = np.ones_like(shares) if population.real == "common" else np.eye(len(shares))
    fits = real / n
    # What stays in the pool: its size, the covariances of its means, those with the newest fits,
    # and the mean square of its samples.
    stays, pools, crossed = kept, real / max(kept, 1), real / n
    square = np.ones(population.models)
    variance, squared_error = np.empty((2, iterations, population.models))
    variance[0] = (1 - 1 / n) * (n / (n - 1) if unbiased else 1)
    squared_error[0] = fits.diagonal()
    for t in range(2, iterations + 1):
        fresh = regime.fresh(t, n)
        arriving = regime.generated(t, n)
        written = np.array([counts(row, arriving, first=m) for m, row in enumerate(shares)])
        size = stays + written[0].sum() + fresh
        part, of_models = stays / size, written / size
        noise = np.diag(written @ variance[t - 2]) + fresh * real
        mixed = part * crossed @ of_models.T
        squares = part * square + of_models @ (fits.diagonal() + variance[t - 2]) + fresh / size
        moved = part * pools + crossed @ of_models.T
        fits = part**2 * pools + mixed + mixed.T + of_models @ fits @ of_models.T + noise / size**2
        variance[t - 1] = (squares - fits.diagonal()) * (size / (size - 1) if unbiased else 1)
        squared_error[t - 1] = fits.diagonal()
        if regime.memory is None:
            stays, pools, crossed, square = size, fits, fits, squares
        else:
            crossed = moved
    return VarianceFractions(variance, squared_error)
