"""The key of a step: its place in a chain, which also names its random streams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collapse import seeding


@dataclass(frozen=True)
class Step:
    """The place of a step in a chain, and all that its numbers depend on besides its files.

    ``point`` and ``parameters`` hold only what matters up to this step, and ``regime`` is
    ``real`` at iteration 1, so that files that points or regimes share are made once. ``samples``
    is 0 in the step prepare, whose real data serves any number of samples.
    """

    experiment: str
    point: str
    data_point: str
    regime: str
    seed: int
    iteration: int
    family: str
    parameters: Mapping[str, Any]
    samples: int

    def as_dict(self) -> dict[str, Any]:
        """Return the step as plain values, as the parameters of a job hold it."""
        return {**vars(self), "parameters": dict(self.parameters)}

    def stream(self, purpose: str) -> np.random.Generator:
        """Return the random stream of this step for a purpose."""
        return seeding.stream(
            self.experiment, self.point, self.regime, self.seed, self.iteration, purpose
        )

    def integer(self, purpose: str) -> int:
        """Return 63 bits of this step for a purpose, as a seed for another library."""
        return seeding.integer(
            self.experiment, self.point, self.regime, self.seed, self.iteration, purpose
        )

    def order_of_real_data(self, count: int) -> NDArray[np.int64]:
        """Return the order in which this seed sees the real data, the same for every regime."""
        name = (self.experiment, self.data_point, seeding.REAL, self.seed, 1, "order of real data")
        return seeding.stream(*name).permutation(count)
