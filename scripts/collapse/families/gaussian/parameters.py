"""Parameters of the gaussian family: the keys of a study's grid and settings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from collapse.families import declarations
from collapse.families.declarations import (
    parameter,
)


class Parameters(declarations.Parameters):
    """Parameters of the gaussian family."""

    dimension: int = Field(default=1, ge=1, description="Dimension d of the data.")
    variance: float = Field(default=1.0, gt=0, description="True variance: Σ0 = variance · I.")
    estimator: Literal["maximum-likelihood", "unbiased", "within-sources"] = parameter(
        "Estimator of the covariance: maximum-likelihood divides by n, unbiased by n - 1, where n "
        "is the effective sample size of weighted samples; within-sources is the weighted mean of "
        "the unbiased covariances of the sources, each about its own mean (He et al. 2025).",
        default="maximum-likelihood",
    )
    target: float = parameter(
        "Each coordinate of the point from which the scores distance and reward are measured.",
        stage="generation",
        default=0.0,
    )
