"""Provenance at random: a regime with the numbers of real samples that one chain has drawn."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from collapse.regimes.regime import Regime


class Realised(Regime):
    """A regime of which the numbers of real samples at iterations 2, 3, ... are drawn.

    As many samples arrive as in the regime, so that pools have the same sizes.
    """

    drawn: tuple[int, ...] = Field(exclude=True)  # no part of the regime's definition

    def fresh(self, t: int, n: int) -> int:
        """Return how many of the samples that arrive at iteration t >= 2 are real."""
        return self.drawn[t - 2]

    def generated(self, t: int, n: int) -> int:
        """Return how many of the samples that arrive at iteration t >= 2 are synthetic."""
        return super().fresh(t, n) + super().generated(t, n) - self.drawn[t - 2]


def realised(regime: Regime, n: int, iterations: int, generator: np.random.Generator) -> Regime:
    """Return the regime of one chain: with numbers drawn for iterations 2, 3, ..., if it draws any.

    The numbers of fewer iterations are the first ones of those of more.

    Parameters
    ----------
    regime : Regime
    n : int
        Number of samples per iteration.
    iterations : int
        The last iteration for which a number is drawn.
    generator : numpy.random.Generator
        The chain's random stream for this, at its beginning.
    """
    if regime.provenance == "fixed" or regime.fresh_real == 0:
        return regime
    later = range(2, iterations + 1)
    real = np.array([regime.fresh(t, n) for t in later], dtype=np.int64)
    arriving = real + np.array([regime.generated(t, n) for t in later], dtype=np.int64)
    drawn = generator.binomial(arriving, real / np.maximum(arriving, 1))
    return Realised(**dict(regime), drawn=tuple(map(int, drawn)))
