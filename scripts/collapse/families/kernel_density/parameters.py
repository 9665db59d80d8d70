"""Parameters of the kernel_density family: the keys of a study's grid and settings."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from collapse.families import declarations
from collapse.families.declarations import parameter

Rule = Literal["scott", "silverman", "scott-scaled", "silverman-scaled"]


class Parameters(declarations.Parameters):
    """Parameters of the kernel_density family."""

    dataset: Literal["blobs", "circles", "moons", "swiss_roll"] = Field(
        default="moons", description="Data set of scikit-learn, with noise 0.05."
    )
    bandwidth: Annotated[float, Field(gt=0)] | Rule = Field(
        default=0.5,
        description="Bandwidth h, or a rule: scikit-learn's scott and silverman depend on the "
        "number of points and the dimension; -scaled multiplies them by the spread of the data.",
    )
    kernel: Literal["gaussian", "tophat"] = Field(
        default="gaussian", description="Kernel; with tophat, test_nll can be infinite."
    )
    points: Literal["even", "independent"] = parameter(
        "How real points are drawn. even is scikit-learn's and the published way: circles and "
        "moons are an even grid along the curves, with noise, and blobs are of equal size, so "
        "that the first fit is better than with independent points.",
        default="even",
    )
    target: float = parameter(
        "Each coordinate of the point from which the score distance is measured.",
        stage="generation",
        default=0.0,
    )
