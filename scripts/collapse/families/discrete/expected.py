"""Theoretical expectations of the metrics of distributions over outcomes."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from collapse.families.declarations import Expectation
from collapse.families.discrete.parameters import Parameters, truth_of
from collapse.regimes import NAMED, Regime
from collapse.theory import discrete as theory
from collapse.theory import selection, survival
from collapse.theory.pairs import covers, variance_fractions, whole_pools
from collapse.theory.populations import population_fractions

Array = NDArray[np.float64]


def expectations(
    parameters: Parameters, regime: Regime, samples: int, iterations: int
) -> dict[str, Expectation]:
    """Return the expected index, mean and support, and the time to collapse under replace."""
    truth, page = truth_of(parameters), "docs/theory/discrete.md"
    if regime.select is not None:
        return _of_selection(truth, regime, samples, iterations)
    if regime.population is not None:
        return _of_population(truth, regime, samples, iterations)
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


def _of_population(
    truth: Array, regime: Regime, samples: int, iterations: int
) -> dict[str, Expectation]:
    """Return the expected index and mean outcome, which are means over the models."""
    fractions = population_fractions(regime, samples, iterations, unbiased=False)
    if fractions is None:
        return {}
    variance, drift = (one.mean(axis=1) for one in fractions)
    start, numbers = theory.Start.of(truth), np.arange(len(truth))
    gini = (1 - start.moment(2)) * variance
    mean = float(truth @ numbers)
    of_one = np.sqrt(truth @ (numbers - mean) ** 2 * drift)
    page = "docs/theory/populations.md"
    return {
        "gini_simpson": Expectation(
            gini, f"{page}, eq. (4)", theory.gini_simpson_scale(gini, drift, start), "scale"
        ),
        "mean_outcome": Expectation(np.full(iterations, mean), f"{page}, eq. (1)", of_one, "most"),
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
