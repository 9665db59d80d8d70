"""Where in which chain a step stands: its key, which also names its random streams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collapse import seeding


@dataclass(frozen=True)
class Step:
    """Where in a chain a step stands, and all that its numbers may depend on besides its files.

    ``point`` and ``parameters`` hold what matters up to this step, and ``regime`` is ``real``
    at iteration 1, so that what is shared is made once. Real data is prepared for points of any
    number of samples: ``samples`` is 0 there.
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
        """Return plain values, as a job's parameters hold them."""
        return asdict(self)

    def stream(self, purpose: str) -> np.random.Generator:
        """Return the random stream of a purpose of this step."""
        return seeding.stream(
            self.experiment, self.point, self.regime, self.seed, self.iteration, purpose
        )

    def integer(self, purpose: str) -> int:
        """Return 63 bits of a purpose of this step, to seed a generator of another library."""
        return seeding.integer(
            self.experiment, self.point, self.regime, self.seed, self.iteration, purpose
        )

    def order_of_real_data(self, count: int) -> NDArray[np.int64]:
        """Return the order in which this seed sees the real data, the same for every regime."""
        name = (self.experiment, self.data_point, seeding.REAL, self.seed, 1, "order of real data")
        return seeding.stream(*name).permutation(count)
