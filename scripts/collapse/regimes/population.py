"""Populations: several models that train on what each other write."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

#: The exchanges that have a name.
NAMED = ("alone", "shared", "ring")


class Population(BaseModel):
    """Several models of a seed, each with a training set of its own, and whose samples it gets."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: Annotated[int, Field(strict=True, ge=2, le=1000)] = Field(
        description="Number M of models. Each trains on as many samples as a model without others."
    )
    exchange: str = Field(
        default="shared",
        description="Who writes the synthetic samples that arrive for a model: alone, itself; "
        "shared, all models in equal parts; ring, the model before it; or M rows of M shares, such "
        "as 0.5 0.5; 0 1, of which row m says what part of the samples for model m each model "
        "writes. Every sample is drawn for one model alone.",
    )
    real: Literal["common", "split"] = Field(
        default="common",
        description="Whether all models have the same real data, or each draws its own. The rows "
        "of a reused design and the test data are common in both cases.",
    )

    @property
    def shares(self) -> NDArray[np.float64]:
        """The part of the samples for model m (rows) that model k (columns) writes: (M, M)."""
        if self.exchange == "shared":
            return np.full((self.models, self.models), 1 / self.models)
        if self.exchange in NAMED:
            return np.roll(np.eye(self.models), -1 if self.exchange == "ring" else 0, axis=1)
        return np.array([[float(one) for one in row.split()] for row in self.exchange.split(";")])

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield the keys that contradict others, each with what was expected."""
        if self.exchange in NAMED:
            return
        try:
            shares = self.shares
        except ValueError:  # rows of different lengths, or no numbers
            shares = np.empty(0)
        if shares.shape != (self.models, self.models):
            yield "exchange", f"{', '.join(NAMED)}, or {self.models} rows of {self.models} shares"
        elif not (shares >= 0).all() or not np.allclose(shares.sum(axis=1), 1, atol=1e-9):
            yield "exchange", "shares of at least 0 that add up to 1 in each row"


def counts(shares: Sequence[float] | NDArray[np.float64], size: int, first: int = 0) -> list[int]:
    """Divide a number of samples by shares: whole parts first, then the largest remainders.

    Of equal remainders, that of the share ``first`` comes first, then those after it, around: so
    that models with equal shares each have a sample too many as often as the others.
    """
    exact = [share * size for share in shares]
    whole = [math.floor(one + 1e-9) for one in exact]
    after = [(k - first) % len(exact) for k in range(len(exact))]
    order = sorted(range(len(exact)), key=lambda k: (round(whole[k] - exact[k], 9), after[k]))
    for k in order[: size - sum(whole)]:
        whole[k] += 1
    return whole
