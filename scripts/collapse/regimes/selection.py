"""Selection: which of the samples that a model writes become synthetic data.

Selection works slot by slot, so that a sample depends on its slot alone and shards may be cut
anywhere. A slot draws candidates from the model, and one of them becomes the slot's sample.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

Array = NDArray[np.float64]

Rule = Literal["best", "softmax", "threshold"]


class Select(BaseModel):
    """Which candidate of a slot becomes synthetic data, by a score of the family.

    A score is read in its direction: the family declares whether a higher or a lower one is
    better.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    score: str = Field(
        description="Name of a score that the family declares, by which candidates are compared."
    )
    rule: Rule = Field(
        default="best",
        description="best keeps the best candidate of a slot; softmax keeps one with probability "
        "proportional to exp(score / temperature), with the sign of a score of which lower is "
        "better turned; threshold keeps the first candidate that is at least as good as the "
        "threshold.",
    )
    candidates: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] = Field(
        description="Number K of candidates of a slot; with threshold, how many may be drawn "
        "until one passes, after which the run stops."
    )
    temperature: Annotated[float, Field(strict=True, gt=0)] | None = Field(
        default=None, description="Temperature τ of softmax, in units of the score."
    )
    threshold: Annotated[float, Field(strict=True)] | None = Field(
        default=None, description="Worst score that passes, with threshold."
    )
    error: Annotated[float, Field(strict=True, ge=0, le=1)] = Field(
        default=0.0,
        description="Probability of an error. With threshold, each candidate's verdict is the "
        "opposite with this probability: the verifier of the literature (Feng et al. 2024), which "
        "at 0.5 accepts at random. With best and softmax the order of a whole slot is turned "
        "round with this probability: best then keeps the worst candidate, softmax favours the "
        "bad, and 0.5 is worse than no selection.",
    )

    @property
    def least_candidates(self) -> int:
        """The number of candidates that a slot draws at least, by which plans count."""
        return 1 if self.rule == "threshold" else self.candidates

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield the keys that contradict others, each with what was expected."""
        for rule, key in (("softmax", "temperature"), ("threshold", "threshold")):
            given = getattr(self, key) is not None
            if given and self.rule != rule:
                yield key, f"no {key} with rule: {self.rule}"
            if self.rule == rule and not given:
                yield key, f"a {key}, which rule: {rule} needs"


class Choice(NamedTuple):
    """The candidates that slots keep.

    Attributes
    ----------
    kept : ndarray of int, shape (seeds, slots)
        The index of the kept candidate; -1 where none has passed.
    looked_at : ndarray of int, shape (seeds, slots)
        How many candidates were looked at.
    wrong : ndarray of bool, shape (seeds, slots)
        Whether a verifier without error would have kept another one of these candidates, or none.
    """

    kept: NDArray[np.int64]
    looked_at: NDArray[np.int64]
    wrong: NDArray[np.bool_]


def choose(select: Select, scores: Array, sign: int, noise: Array, mistakes: Array) -> Choice:
    """Choose one candidate of each slot.

    Parameters
    ----------
    select : Select
    scores : ndarray, shape (seeds, slots, candidates)
        The score of each candidate. NaN is the worst.
    sign : int
        1 if a higher score is better, -1 if a lower one is.
    noise : ndarray, shape (seeds, slots, candidates)
        Uniform numbers in [0, 1), which decide with softmax.
    mistakes : ndarray, shape (seeds, slots, candidates)
        Uniform numbers in [0, 1), which decide where the verifier is wrong; with best and softmax
        only those of the first candidate count.
    """
    count = scores.shape[-1]
    if select.rule == "threshold":
        passes = _ascending(scores, sign) >= sign * (select.threshold or 0.0)
        accepted = passes ^ (mistakes < select.error)
        kept = np.where(accepted.any(axis=-1), accepted.argmax(axis=-1), -1)
        looked_at = np.where(kept < 0, count, kept + 1)
        there = np.take_along_axis(passes, np.maximum(kept, 0)[..., None], axis=-1)[..., 0]
        return Choice(kept, looked_at, (kept >= 0) & ~there)
    right, other = rivals(select, scores, sign, noise)
    kept = np.where(mistakes[..., 0] < select.error, other, right)
    return Choice(kept, np.full(kept.shape, count), kept != right)


def rivals(
    select: Select, scores: Array, sign: int, noise: Array
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which candidate of each slot best or softmax keeps: without an error, and with one.

    Both are the winners of comparisons, and so may be found among the winners of parts of the
    candidates. The parameters are those of `choose`.
    """
    worst = _ascending(scores, sign)
    if select.rule == "softmax":
        # The largest of scores plus Gumbel noise has the probabilities of softmax.
        with np.errstate(divide="ignore"):
            gumbel = -np.log(-np.log1p(-noise))
        temperature = select.temperature or 1.0
        right = _argmax(worst / temperature, gumbel)
        return right, _argmax(-worst / temperature, gumbel) if select.error else right
    right = worst.argmax(axis=-1)
    return right, worst.argmin(axis=-1) if select.error else right


def _ascending(scores: Array, sign: int) -> Array:
    """Return scores of which a higher one is better, and NaN the worst."""
    return np.where(np.isnan(scores), -np.inf, sign * scores)


def _argmax(scores: Array, noise: Array) -> NDArray[np.int64]:
    # Where all scores are infinitely bad, noise decides alone.
    total = np.where(np.isneginf(scores).all(axis=-1, keepdims=True), 0.0, scores) + noise
    return np.asarray(total.argmax(axis=-1))
