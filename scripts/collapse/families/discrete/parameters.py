"""Parameters of the discrete family: the keys of a study's grid and settings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from collapse.families import declarations
from collapse.families.declarations import parameter

Array = NDArray[np.float64]


class Parameters(declarations.Parameters):
    """Parameters of the discrete family."""

    outcomes: int = Field(default=10, ge=2, description="Number K of outcomes.")
    zipf_exponent: float = parameter(
        "Exponent s of Zipf's law, by which the true probability of outcome k = 1..K is in "
        "proportion to k^-s; 0 makes all outcomes equally likely.",
        default=0.0,
        ge=0,
        le=100,
    )
    probabilities: list[float] | None = parameter(
        "True probabilities of all K outcomes, which add up to 1; null: those of zipf_exponent.",
        default=None,
        min_length=2,
    )
    cap: int = parameter(
        "Number of iterations up to which a replace chain is followed until it "
        "collapses; chains of other regimes end with the last recorded iteration.",
        default=10_000_000,
        ge=1,
    )


def truth_of(parameters: Parameters) -> Array:
    """Return the true probabilities, of shape (outcomes,)."""
    if parameters.probabilities is not None:
        truth = np.array(parameters.probabilities)
    else:
        truth = np.arange(1.0, parameters.outcomes + 1) ** -parameters.zipf_exponent
    return truth / truth.sum()
