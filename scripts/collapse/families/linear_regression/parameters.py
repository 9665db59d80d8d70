"""Parameters of the linear_regression family: the keys of a study's grid and settings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from collapse.families import declarations
from collapse.families.declarations import parameter


class Parameters(declarations.Parameters):
    """Parameters of the linear_regression family."""

    dimension: int = Field(default=1, ge=1, description="Number of features d.")
    noise_variance: float = Field(default=1.0, ge=0, description="Variance σ² of the label noise.")
    design: Literal["reused", "fresh"] = parameter(
        "Whether all shards share one design matrix, or each draws its own.", default="reused"
    )
    covariance_decay: float = parameter(
        "Decay of the diagonal of the features' covariance, i^-decay for i = 1..d.",
        default=0.0,
        ge=0,
    )
