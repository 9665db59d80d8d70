"""Regimes: the rule that forms the training set of iteration t, as data.

A regime says which *sources* are in the *pool* of iteration t >= 2 and how many samples
are drawn from that pool; iteration 1 always trains on the real data alone. Every family,
closed-form or iterative, asks the functions here and nothing else (FACTS.md, "Regimes").
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator
from typing import Annotated, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

_SIZE = r"^(\d+(\.\d+)?)?t?n(\*\d+(\.\d+)?\^\(t-1\))?$"
_SIZE_PARTS = re.compile(r"(?P<factor>[\d.]+)?(?P<t>t)?n(\*(?P<ratio>[\d.]+)\^\(t-1\))?")

#: A number of samples: an integer, or a multiple of the experiment's ``samples`` n at
#: iteration t: ``n``, ``0.5n``, ``tn`` (t times n), ``n*1.1^(t-1)`` (growing geometrically).
Size = (
    Annotated[int, Field(strict=True, ge=0)]
    | Annotated[str, StringConstraints(pattern=_SIZE, strict=True)]
)


def samples_in(size: int | str, n: int, t: int) -> int:
    """Evaluate a size: the number of samples it stands for at iteration t, rounded."""
    if isinstance(size, int):
        return size
    factor, linear, ratio = _parse(size)
    try:
        return int(factor * (t if linear else 1) * n * ratio ** (t - 1) + 0.5)
    except OverflowError:
        raise ValueError(f"{size} is beyond all numbers of samples at iteration {t}") from None


@functools.cache
def _parse(size: str) -> tuple[float, bool, float]:
    parts = _SIZE_PARTS.fullmatch(size)
    if parts is None:
        raise ValueError(f"not a size: {size!r}")
    return float(parts["factor"] or 1), parts["t"] is not None, float(parts["ratio"] or 1)


class Source(NamedTuple):
    """One source of a training set.

    ``iteration`` is that of the model that wrote a synthetic shard, that at which a fresh
    real shard first arrives, and 1 for the initial real data.
    """

    kind: Literal["real", "fresh", "synthetic"]
    iteration: int
    size: int


def _all_or_none(value: object) -> object:
    """Write true and false as the sizes they stand for, so that equal regimes compare equal."""
    return {True: "n", False: 0}[value] if isinstance(value, bool) else value


class Regime(BaseModel):
    """What iteration t >= 2 trains on. n is the number of samples of the experiment.

    Regimes are values: hashable, and equal only if they are the same rule.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    keep_real: Annotated[
        Size, BeforeValidator(_all_or_none, json_schema_input_type=bool | Size)
    ] = Field(
        description="Is the initial real data in the pool at t >= 2: true, false, or how many "
        "of its samples (the first of a seeded order, so that smaller sets are nested).",
    )
    memory: Annotated[int, Field(strict=True, ge=1)] | None = Field(
        default=None,
        description="How many past generations are in the pool: 1 is only the newest, null all.",
    )
    budget: Size | None = Field(
        default=None,
        description="Size of the training set, drawn uniformly without replacement from the "
        "pool; null trains on the whole pool.",
    )
    generate: Size = Field(
        default="n",
        description="Synthetic samples that the model of iteration t-1 writes for iteration t.",
    )
    fresh_real: Size = Field(
        default=0,
        description="New real samples that arrive at each iteration t >= 2; they stay in the "
        "pool as long as the synthetic samples that arrive with them.",
    )

    def kept_real(self, n: int) -> int:
        """How many of the n initial real samples are in the pool at t >= 2."""
        return samples_in(self.keep_real, n, 1)

    def generated(self, t: int, n: int) -> int:
        """How many samples the model of iteration t - 1 writes for iteration t >= 2."""
        return samples_in(self.generate, n, t)

    def generated_from(self, t: int, n: int) -> Iterator[int]:
        """Yield `generated` for iterations t, t + 1, ... without end."""
        if self.generate == "n" or isinstance(self.generate, int):
            return itertools.repeat(self.generated(t, n))
        return (self.generated(later, n) for later in itertools.count(t))

    def fresh(self, t: int, n: int) -> int:
        """How many new real samples arrive at iteration t >= 2."""
        return samples_in(self.fresh_real, n, t)

    def pool(self, t: int, n: int) -> tuple[Source, ...]:
        """List the sources that iteration t may train on, oldest first, none of them empty."""
        if t == 1:
            return (Source("real", 1, n),)
        oldest = 2 if self.memory is None else max(2, t - self.memory + 1)
        sources = [Source("real", 1, self.kept_real(n))]
        for arrival in range(oldest, t + 1):
            sources.append(Source("synthetic", arrival - 1, self.generated(arrival, n)))
            sources.append(Source("fresh", arrival, self.fresh(arrival, n)))
        return tuple(source for source in sources if source.size)

    def pool_sizes(self, iterations: int, n: int) -> list[int]:
        """Size of the pool of every iteration 1..T; its cost is linear in T."""
        arrivals = [0, 0] + [
            self.generated(t, n) + self.fresh(t, n) for t in range(2, iterations + 1)
        ]
        sizes, window = [n], 0
        for t in range(2, iterations + 1):
            window += arrivals[t]
            if self.memory is not None and t - self.memory >= 2:
                window -= arrivals[t - self.memory]
            sizes.append(self.kept_real(n) + window)
        return sizes

    def training_size(self, t: int, n: int, pool_size: int) -> int:
        """Size of the training set of iteration t, drawn from a pool of the given size."""
        if t == 1 or self.budget is None:
            return pool_size
        return samples_in(self.budget, n, t)

    def check(self, iterations: int, n: int, minimum: int = 1) -> None:
        """Refuse what no chain of this length could do.

        Raises
        ------
        ValueError
            If a training set would hold fewer than ``minimum`` samples, or be larger than
            the pool, or more real data were kept than there is.
        """
        if self.kept_real(n) > n:
            raise ValueError(f"keep_real is {self.kept_real(n)}, more than samples = {n}")
        for t, size in enumerate(self.pool_sizes(iterations, n), start=1):
            budget = self.training_size(t, n, size)
            if budget > size:
                raise ValueError(
                    f"budget is {budget} at iteration {t}, more than the {size} in the pool"
                )
            if budget < minimum:
                raise ValueError(
                    f"the training set of iteration {t} has {budget} samples "
                    f"(samples = {n}), fewer than {minimum}"
                )


#: The regimes of the papers (FACTS.md, "Regimes"); a study may define its own.
NAMED: dict[str, Regime] = {
    "replace": Regime(keep_real=False, memory=1),
    "accumulate": Regime(keep_real=True),
    "accumulate-subsample": Regime(keep_real=True, budget="n"),
    "replace-multiple": Regime(keep_real=False, memory=1, generate="tn"),
}


def mixture(real: int, synthetic: int) -> Regime:
    """Mix ``real`` real samples with ``synthetic`` of the newest model (P2, T = 2)."""
    return Regime(keep_real=real, memory=1, generate=synthetic)


def draw_counts(
    pool: tuple[Source, ...], budget: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Draw how many of ``budget`` samples come from each source of the pool.

    A uniform draw without replacement from the whole pool, seen source by source, is
    multivariate hypergeometric; which samples of a source, a seeded permutation says. So a
    training set is stored and verified in the size of the number of its sources.
    """
    sizes = np.array([source.size for source in pool], dtype=np.int64)
    return generator.multivariate_hypergeometric(sizes, budget, method="marginals")


def draw_positions(
    pool_size: int, budget: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Draw ``budget`` distinct positions of a pool laid end to end, in no particular order.

    The same law as `draw_counts` with a permutation inside each source, in one call: for
    chains that hold their pool in memory.
    """
    return generator.choice(pool_size, budget, replace=False, shuffle=False)
