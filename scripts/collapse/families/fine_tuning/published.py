"""What P2 shows of Gemma-2 2B, read off its plot (docs/reproduction.md)."""

from __future__ import annotations

from typing import Any

from collapse.families.declarations import Published

#: Pairs of HelpSteer2 of at most 512 tokens, and so the synthetic pairs of an iteration.
HELPSTEER2 = 12_531

_CONDITIONS: dict[str, Any] = {
    "base": "gemma-2-2b",
    "data": "helpsteer2",
    "samples": HELPSTEER2,
    "temperature": 1.0,
    "loss": "whole",
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
