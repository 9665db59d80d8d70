"""Cross-entropies of Gemma-2 2B, read off the plot of P2 (docs/reproduction.md)."""

from __future__ import annotations

from typing import Any

from collapse.families.declarations import Published

#: Number of HelpSteer2's pairs of at most 512 tokens, and of the synthetic pairs per iteration: the
#: published one, and that of the paper study, which leaves room for pairs that are dropped here.
HELPSTEER2 = (12_531, 12_400)

_CONDITIONS: dict[str, Any] = {
    "base": "gemma-2-2b",
    "data": "helpsteer2",
    "samples": HELPSTEER2,
    "temperature": 1.0,
    "loss": "whole",
    "start": "bos",
}
_VALUES = (
    (None, 1, 1.07),
    ("replace", 20, 2.65),
    ("accumulate-subsample", 20, 1.23),
    ("accumulate", 20, 1.10),
)

CURVES = tuple(
    Published("test_cross_entropy", regime, iteration, value, _CONDITIONS, "P2, plot")
    for regime, iteration, value in _VALUES
)
