"""Theoretical expectations of the metrics of Gaussians."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from collapse.families.declarations import Expectation
from collapse.families.gaussian.factors import RESOLUTION
from collapse.regimes import Regime
from collapse.theory import gaussian as theory
from collapse.theory import selection, weights
from collapse.theory.pairs import (
    Estimator,
    covers,
    memoryless_sizes,
    variance_fractions,
    whole_pools,
)
from collapse.theory.populations import population_fractions


def expectations(
    dimension: int,
    scale: float,
    estimator: Estimator,
    regime: Regime,
    samples: int,
    iterations: int,
) -> dict[str, Expectation]:
    """Return the expectation of each metric, for regimes without selection.

    ``scale`` is the true variance in each dimension.
    """
    page = "docs/theory/gaussian.md"
    found: dict[str, Expectation] = {}
    if not covers(regime):
        return found
    unbiased = estimator == "unbiased"
    known = estimator != "within-sources"
    sizes = memoryless_sizes(regime, samples, iterations) if known else None
    arrivals = whole_pools(regime, samples, iterations) if known else None
    if sizes is not None:
        logarithm = theory.replace_log_determinant(sizes, dimension, iterations, unbiased)
        found["log_determinant_ratio"] = Expectation(
            logarithm.mean,
            f"{page}, eq. (10)",
            logarithm.deviation,
            representable=_representable(sizes, dimension, scale),
        )
    elif arrivals is not None and dimension == 1:
        variance = theory.accumulating_log_variance(arrivals, samples, unbiased)
        if variance is not None:
            found["log_determinant_ratio"] = Expectation(
                variance.mean, f"{page}, eq. (12)", variance.deviation
            )
    step = None if arrivals is None else theory.squared_step_of_mean(arrivals, samples, dimension)
    if step is not None:
        found["squared_step_of_mean"] = Expectation(
            step.mean,
            f"{page}, eq. (14)",
            step.deviation,
            representable=None if sizes is None else _resolved(sizes, dimension),
        )
    if arrivals is not None:
        moments = theory.moments(arrivals, samples, dimension, unbiased)
        trace, error = moments[:2], moments[2:4]
        covariance, source = moments.squared_error_of_covariance, f"{page}, eq. (15)"
        sources = f"{page}, eq. (4)", f"{page}, eq. (5)"
    else:
        covariance, source = None, "docs/theory/weights.md, eq. (10)"
        if not known:
            stream = (regime, samples, dimension, iterations)
            covariance = weights.stream_squared_error_of_covariance(*stream)
        # At least that of the best estimate from all real data so far (docs/theory/gaussian.md).
        fractions = variance_fractions(regime, samples, iterations, estimator)
        fresh = [regime.fresh(t, samples) for t in range(2, iterations + 1)]
        freedom = dimension * (samples - 1 + np.cumsum([0, *fresh]))
        trace = fractions.variance, fractions.variance * np.sqrt(2 / freedom)
        error = dimension * fractions.squared_error * np.array([[1], [np.sqrt(2 / dimension)]])
        sources = "docs/theory/pairs.md, eq. (3)", "docs/theory/pairs.md, eq. (4)"
        if not regime.is_plain:
            sources = "docs/theory/weights.md, eq. (3)", "docs/theory/weights.md, eq. (6)"
    spread: Literal["exact", "least", "scale"] = "least" if arrivals is None else "exact"
    if not (regime.is_plain and known):
        spread = "scale"
    if covariance is not None:
        # Its deviation is not known, and may be too large for a test by that of the seeds.
        squares = scale**2 * covariance
        found["squared_error_of_covariance"] = Expectation(squares, source, exact=False)
    found["trace_ratio"] = Expectation(trace[0], sources[0], trace[1], spread)
    found["squared_error_of_mean"] = Expectation(
        scale * error[0], sources[1], scale * error[1], spread
    )
    return found


def _representable(sizes: Sequence[int], d: int, scale: float) -> NDArray[np.bool_]:
    """Return until when a factor of the covariance stays in the range of floating-point numbers."""
    return np.asarray(np.log(scale) + _least_variance(sizes, d) > 2 * np.log(np.finfo(float).tiny))


def _resolved(sizes: Sequence[int], d: int) -> NDArray[np.bool_]:
    """Return until when a step of the mean is far above the rounding of the mean itself.

    The mean is taken to be within 100 true standard deviations of the true mean.
    """
    least = _least_variance(sizes, d)[:-1]
    return np.concatenate(([True], least > 2 * np.log(100 * RESOLUTION)))


def _least_variance(sizes: Sequence[int], d: int) -> NDArray[np.float64]:
    """Return the logarithm of a variance below which no direction falls, over the true one."""
    m = np.asarray(sizes)
    # The last row of the factor shrinks the fastest: one dimension whose fits have d - 1 fewer.
    last = theory.replace_log_determinant(np.maximum(m - d + 1, 2), 1, len(m), unbiased=False)
    divisors = np.log(np.maximum(m - d + 1, 2)) - np.log(m)
    return np.asarray(last.mean + np.cumsum(divisors) - 8 * last.deviation)


def of_population(
    dimension: int,
    scale: float,
    estimator: Estimator,
    regime: Regime,
    samples: int,
    iterations: int,
) -> dict[str, Expectation]:
    """Return the expectation of metrics that are means over the models of a population."""
    fractions = population_fractions(regime, samples, iterations, unbiased=estimator == "unbiased")
    if fractions is None or regime.population is None:
        return {}
    variance, error = (one.mean(axis=1) for one in fractions)
    error *= dimension * scale
    fresh = [regime.fresh(t, samples) for t in range(2, iterations + 1)]
    freedom = dimension * (samples - 1 + np.cumsum([0, *fresh]))
    page = "docs/theory/populations.md"
    return {
        "trace_ratio": Expectation(
            variance, f"{page}, eq. (4)", variance * np.sqrt(2 / freedom), "scale"
        ),
        "squared_error_of_mean": Expectation(
            error, f"{page}, eq. (3)", error * np.sqrt(2 / dimension), "scale"
        ),
    }


def of_selection(
    dimension: int,
    scale: float,
    estimator: Estimator,
    target: float,
    regime: Regime,
    iterations: int,
) -> dict[str, Expectation]:
    """Return what the metrics tend to with many candidates and samples, if softmax curates.

    It is an approximation for the score reward, under regimes that see the newest model alone.
    """
    select = regime.select
    curates = select is not None and (select.rule, select.score) == ("softmax", "reward")
    alone = regime.memory == 1 and regime.keep_real == 0 and regime.fresh_real == 0
    if select is None or not curates or select.error or not alone:
        return {}
    limit = selection.curated_gaussian(scale, target, select.temperature or 1.0, iterations)
    page = "docs/theory/selection.md"
    return {
        "trace_ratio": Expectation(limit.variance / scale, f"{page}, eq. (3)", exact=False),
        "squared_error_of_mean": Expectation(
            dimension * limit.mean**2, f"{page}, eq. (4)", exact=False
        ),
    }
