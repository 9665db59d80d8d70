"""The named regimes of P1 and P2, and the mixtures of P2."""

from __future__ import annotations

from collapse.regimes.regime import Regime

#: The regimes of P1 and P2; a study may define its own.
NAMED: dict[str, Regime] = {
    "replace": Regime(keep_real=False, memory=1),
    "accumulate": Regime(keep_real=True),
    "accumulate-subsample": Regime(keep_real=True, budget="n"),
    "replace-multiple": Regime(keep_real=False, memory=1, generate="tn"),
}


def mixture(real: int, synthetic: int) -> Regime:
    """Return the regime that mixes numbers of real and synthetic samples (P2, T = 2)."""
    return Regime(keep_real=real, memory=1, generate=synthetic)
