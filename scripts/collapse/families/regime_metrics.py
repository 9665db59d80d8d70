"""Metrics of what a regime does, which chains of every family have besides the family's own."""

from __future__ import annotations

import math

from collapse.families.declarations import Metric
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


def of_regime(regime: Regime) -> dict[str, Metric]:
    """Return the metrics that chains of a regime have because of it."""
    weighs = regime.weigh is not None or regime.provenance == "bernoulli"
    return {**(OF_WEIGHTS if weighs else {}), **(OF_SELECTION if regime.select else {})}


def at_first(regime: Regime, samples: int) -> dict[str, float]:
    """Return these metrics at iteration 1, which trains on real data alone: NaN of a selection."""
    known = {"effective_sample_size": float(samples), "real_share": 1.0}
    return {name: known.get(name, math.nan) for name in of_regime(regime)}
