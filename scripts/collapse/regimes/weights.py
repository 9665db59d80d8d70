"""Weights: how much a sample counts in a fit, or how likely it is to be drawn for one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from collapse.regimes.shares import Share, share_at

Array = NDArray[np.float64]


class Weigh(BaseModel):
    """How much real and synthetic samples count at iterations t >= 2.

    Without a budget these are weights in the fit; with one they are probabilities of the draw,
    which is then made with replacement.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    real: Share | None = Field(
        default=None,
        description="Share of all weight that real samples have together: a number from 0 to 1, "
        "or a schedule such as 1*t^-1, 0.5*0.9^(t-1) or 1-0.5*t^-1. null: a real sample has the "
        "average weight of a synthetic one.",
    )
    score: str | None = Field(
        default=None,
        description="Name of a score that the family declares; the weight of a synthetic sample "
        "is proportional to a power of it. null: synthetic samples all have the same weight.",
    )
    power: Annotated[float, Field(strict=True)] = Field(
        default=1.0, description="Power of the score, which is negative if lower is better."
    )

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield the keys that contradict others, each with what was expected."""
        if self.real is None and self.score is None:
            yield "real", "a share of real data, or a score of synthetic data"
        if self.score is None and self.power != 1:
            yield "power", "no power without a score"

    def real_share(self, t: int) -> float | None:
        """Return the share of all weight that real samples have at iteration t, if one is given."""
        return None if self.real is None else share_at(self.real, t)

    def of_scores(self, scores: Array) -> Array:
        """Return the weights of synthetic samples, up to a factor.

        Raises
        ------
        ValueError
            If one of them is negative or not finite; the message says what was found.
        """
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            weights: Array = np.asarray(scores, dtype=np.float64) ** self.power
        wrong = ~(np.isfinite(weights) & (weights >= 0))
        if wrong.any():
            first = float(np.asarray(scores)[wrong][0])
            raise ValueError(
                f"found a score {self.score} of {first:g}, whose power {self.power:g} is no weight "
                "(expected scores whose power is finite and not negative)"
            )
        return weights


class Totals(NamedTuple):
    """The weights of a set of samples: their number, sum, and sum of squares, for each seed.

    Each has shape (seeds,).
    """

    number: Array
    weight: Array
    square: Array

    @classmethod
    def equal(cls, count: int, seeds: int) -> Totals:
        """Return the totals of samples that all have the weight 1."""
        each = np.full(seeds, float(count))
        return cls(each, each, each)

    @classmethod
    def of(cls, weights: Array) -> Totals:
        """Return the totals of weights (seeds, samples); a weight of 0 counts as no sample."""
        number = (weights > 0).sum(axis=1).astype(float)
        return cls(number, weights.sum(axis=1), (weights**2).sum(axis=1))

    def plus(self, other: Totals) -> Totals:
        """Return the totals of the union of two disjoint sets of samples."""
        return Totals(
            self.number + other.number, self.weight + other.weight, self.square + other.square
        )


class Balance(NamedTuple):
    """Factors of the weights of real and of synthetic samples, and the effective sample size.

    The factors make all weights sum to the effective sample size (Σω)² / Σω², so that an estimator
    that divides by "samples - 1" is unbiased for weighted samples too (``docs/theory/weights.md``).
    Each has shape (seeds,).
    """

    real: Array
    synthetic: Array
    effective: Array


def balance(share: float | None, real: Totals, synthetic: Totals) -> Balance:
    """Return the factors by which the weights of real and synthetic samples are multiplied.

    A kind of which a seed has no samples leaves all weight to the other.

    Parameters
    ----------
    share : float or None
        Share of real samples in all weight; None gives a real sample the average weight of a
        synthetic one.
    real, synthetic : Totals
    """
    real_mean, synthetic_mean = (
        np.where(one.weight > 0, one.weight / np.maximum(one.number, 1), 1.0)
        for one in (real, synthetic)
    )
    if share is None:
        factors = 1 / real_mean, 1 / synthetic_mean
    else:
        real_share = np.where(synthetic.weight > 0, share, 1.0)
        real_share = np.where(real.weight > 0, real_share, 0.0)
        factors = tuple(
            np.divide(part, one.weight, out=np.zeros(len(one.weight)), where=one.weight > 0)
            for part, one in ((real_share, real), (1 - real_share, synthetic))
        )
    total = factors[0] * real.weight + factors[1] * synthetic.weight
    square = factors[0] ** 2 * real.square + factors[1] ** 2 * synthetic.square
    scale = total / square
    return Balance(factors[0] * scale, factors[1] * scale, total * scale)
