"""Metrics of what a regime does, which chains of every family have besides the family's own."""

from __future__ import annotations

import math

import numpy as np

from collapse.families.declarations import Expectation, Figure, Metric
from collapse.regimes import Regime

#: Metrics of the weights of a training set.
OF_WEIGHTS = {
    "effective_sample_size": Metric(
        "effective size of the training set: squared sum of weights over sum of squared weights",
        comment="If weights are probabilities of a draw, the weights are those of the pool.",
    ),
    "real_share": Metric(
        "share of real samples in the weight of the training set",
        comment="If weights are probabilities of a draw, the weights are those of the pool.",
    ),
}

#: Metrics of the selection of the synthetic samples that arrive at an iteration.
OF_SELECTION = {
    "accepted_share": Metric("kept samples over the candidates that were looked at"),
    "score_of_candidates": Metric("mean score of the candidates that were looked at"),
    "score_of_kept": Metric("mean score of the kept samples"),
    "wrongly_accepted": Metric(
        "share of kept samples that a verifier without error would not have kept"
    ),
}

#: All of them, by name.
METRICS = {**OF_WEIGHTS, **OF_SELECTION}

#: Figures of what regimes do, of those that have the metric.
FIGURES = tuple(
    Figure(metric.replace("_", "-"), metric, rows=None)
    for metric in ("effective_sample_size", "real_share", "accepted_share", "wrongly_accepted")
)


def of_regime(regime: Regime) -> dict[str, Metric]:
    """Return the metrics that chains of a regime have because of it."""
    weighs = regime.weigh is not None or regime.provenance == "bernoulli"
    return {**(OF_WEIGHTS if weighs else {}), **(OF_SELECTION if regime.select else {})}


def expectations(regime: Regime, n: int, iterations: int) -> dict[str, Expectation]:
    """Return what theory expects of these metrics, of chains of any family.

    Shares and effective sizes follow from the regime where the weights of samples do not depend
    on their values; ``docs/theory/weights.md``, equations (11) and (12).
    """
    found = {}
    page = "docs/theory/weights.md"
    select = regime.select
    if select is not None and select.rule != "threshold":
        rate = np.full(iterations, 1 / select.candidates)
        rate[:1] = np.nan
        source = "docs/theory/selection.md, eq. (1)"
        found["accepted_share"] = Expectation(rate, source, np.zeros(iterations))
    random = regime.provenance == "bernoulli" and regime.fresh_real != 0
    scored = regime.weigh is not None and (regime.weigh.score is not None or random)
    if "real_share" not in of_regime(regime) or scored:
        return found
    share, effective, deviation = np.empty((3, iterations))
    for t in range(1, iterations + 1):
        share[t - 1], effective[t - 1], deviation[t - 1] = _of_pool(regime, t, n)
    found["real_share"] = Expectation(share, f"{page}, eq. (11)", deviation)
    found["effective_sample_size"] = Expectation(
        effective, f"{page}, eq. (12)", np.zeros(iterations)
    )
    return found


def _of_pool(regime: Regime, t: int, n: int) -> tuple[float, float, float]:
    """Return the share of real samples, the effective size, and the deviation of the share."""
    real = synthetic = random = 0.0
    for source in regime.pool(t, n):
        fresh = regime.fresh(source.iteration, n) if source.kind == "fresh" else 0
        written = regime.generated(source.iteration, n) if fresh else 0
        if regime.provenance == "bernoulli" and fresh and written:
            random += fresh * written / (fresh + written)  # a variance of binomial numbers
        if source.kind == "synthetic":
            synthetic += source.size
        else:
            real += source.size
    pool = real + synthetic
    share = regime.weigh.real_share(t) if t > 1 and regime.weigh is not None else None
    if share is not None and real and synthetic:
        effective = 1 / (share**2 / real + (1 - share) ** 2 / synthetic)
        return share, effective, 0.0
    drawn = regime.training_size(t, n, int(pool)) if regime.weigh is None else int(pool)
    variance = random / pool**2
    if drawn < pool:  # without replacement, of a pool of which each sample may be real
        variance = _of_draw(drawn, pool, real, random)
    return real / pool, float(drawn), float(np.sqrt(variance))


def _of_draw(drawn: int, pool: float, real: float, random: float) -> float:
    """Return the variance of the share of real samples in a draw without replacement."""
    share = real / pool
    # The hypergeometric variance given the number of real samples, and the variance of its mean.
    between = random / pool**2
    within = (share * (1 - share) - between) * (pool - drawn) / (pool - 1) / drawn
    return within + between


def at_first(regime: Regime, samples: int) -> dict[str, float]:
    """Return these metrics at iteration 1, which trains on real data alone: NaN of a selection."""
    known = {"effective_sample_size": float(samples), "real_share": 1.0}
    return {name: known.get(name, math.nan) for name in of_regime(regime)}
