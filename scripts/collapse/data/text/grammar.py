"""Parts of the built-in grammars: tables of words with probabilities, and templates."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from functools import cache

import numpy as np
from numpy.typing import NDArray


def zipf(exponent: float, values: Iterable[str]) -> dict[str, float]:
    """Return the probability of each value, proportional to a power of its rank from 1."""
    weights = {value: rank**-exponent for rank, value in enumerate(values, start=1)}
    return {value: weight / sum(weights.values()) for value, weight in weights.items()}


def invert(probabilities: Iterable[float], uniforms: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the places of the values that uniform numbers draw, by inverting the distribution."""
    return np.searchsorted(np.cumsum([*probabilities])[:-1], uniforms, side="right")


def entropy(probabilities: Iterable[float]) -> float:
    """Return the entropy of a distribution without zeros, in nats."""
    return -math.fsum(p * math.log(p) for p in probabilities)


@cache
def pattern(template: str) -> tuple[list[str], re.Pattern[str]]:
    """Return the slots of a template, in order, and an expression that matches their words."""
    expression = re.sub(r"\\{\w+\\}", r"(\\w+)", re.escape(template))
    return re.findall(r"{(\w+)}", template), re.compile(expression)
