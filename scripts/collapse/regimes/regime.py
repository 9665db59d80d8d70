"""A regime as data: the sources in the pool of iteration t, and the size of its training set."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from collapse.regimes.population import Population
from collapse.regimes.selection import Select
from collapse.regimes.sizes import Size, samples_at, samples_in
from collapse.regimes.weights import Weigh


class Source(NamedTuple):
    """One source of a training set, with the number of its samples.

    ``iteration`` is 1 for the initial real data, the iteration at which fresh real data arrives,
    and the iteration of the model that generated synthetic data.
    """

    kind: Literal["real", "fresh", "synthetic"]
    iteration: int
    size: int


def _all_or_none(value: object) -> object:
    """Replace true and false by the sizes they stand for, so that equal regimes compare equal."""
    return {True: "n", False: 0}[value] if isinstance(value, bool) else value


class Regime(BaseModel):
    """The rule for what iteration t >= 2 trains on, where n is ``samples`` of the experiment.

    Regimes are values: they are hashable, and equal if all of their fields are equal.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    keep_real: Annotated[
        Size, BeforeValidator(_all_or_none, json_schema_input_type=bool | Size)
    ] = Field(
        description="Whether the pool of iteration t >= 2 holds the initial real data: true, "
        "false, or the number of its samples to keep. The samples kept are the first in a seeded "
        "order, so that a smaller set is part of a larger one.",
    )
    memory: Annotated[int, Field(strict=True, ge=1)] | None = Field(
        default=None,
        description="Number of past iterations whose data is in the pool: 1 keeps the newest "
        "alone, null keeps all.",
    )
    budget: Size | None = Field(
        default=None,
        description="Size of the training set, which is drawn uniformly without replacement from "
        "the pool; null trains on the whole pool.",
    )
    generate: Size = Field(
        default="n",
        description="Number of samples that the model of iteration t-1 generates for iteration t.",
    )
    fresh_real: Size = Field(
        default=0,
        description="Number of new real samples that arrive at each iteration t >= 2. They stay "
        "in the pool as long as the synthetic samples that arrive with them.",
    )
    provenance: Literal["fixed", "bernoulli"] = Field(
        default="fixed",
        description="Whether numbers of real and synthetic samples are as said, or each sample is "
        "real with the probability that they give: each of the fresh_real + generate samples that "
        "arrive, and each that a budget draws under weigh.real.",
    )
    select: Select | None = Field(
        default=None,
        description="Which of the samples that a model writes become synthetic data; null: all.",
    )
    weigh: Weigh | None = Field(
        default=None,
        description="How much real and synthetic samples count in the fit, or with a budget, how "
        "likely they are to be drawn (then with replacement); null: all samples count the same.",
    )
    population: Population | None = Field(
        default=None,
        description="Several models that train on what each other write; null: one model, which "
        "trains on what it wrote itself.",
    )
    start: Literal["scratch", "previous"] = Field(
        default="scratch",
        description="Where the training of iteration t >= 2 starts: scratch, from new weights or "
        "from the base that is fine-tuned; previous, from the weights of the model of iteration "
        "t-1. The optimiser, its schedule and all random numbers are new in each iteration.",
    )

    @property
    def is_plain(self) -> bool:
        """Whether all samples are kept and count the same, and numbers of samples are fixed.

        Also, there is one model, which writes them all.
        """
        alike = self.select is None and self.weigh is None and self.provenance == "fixed"
        return alike and self.population is None

    @property
    def models(self) -> int:
        """The number of models of each seed."""
        return 1 if self.population is None else self.population.models

    @property
    def scores(self) -> tuple[str, ...]:
        """The names of the scores that selection and weights use, each once."""
        used = [one.score for one in (self.select, self.weigh) if one and one.score is not None]
        return tuple(dict.fromkeys(used))

    @property
    def scoring(self) -> dict[str, Any]:
        """What the samples that models write depend on, of the regime, as plain values.

        ``score`` is the name of the score that is stored with them. Empty without any score.
        """
        if not self.scores:
            return {}
        found: dict[str, Any] = {"score": self.scores[-1]}
        if self.select is not None:
            found["select"] = self.select.model_dump(exclude_defaults=True)
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, without those of later versions that are not used.

        What exists was made of the fields of its time, and stays valid when others join.
        """
        added = ("provenance", "select", "weigh", "population", "start")
        later = {name for name in added if not self._uses(name)}
        return self.model_dump(exclude=later)

    def _uses(self, name: str) -> bool:
        return bool(getattr(self, name) != type(self).model_fields[name].default)

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield the keys that contradict others, each with what was expected."""
        for name in ("select", "weigh", "population"):
            one = getattr(self, name)
            for key, expected in one.problems() if one else ():
                yield f"{name}.{key}", expected
        if self.generate == 0:
            if self.select is not None:
                yield "select", "no selection in a regime that generates nothing"
            if self.population is not None:
                yield "population", "no population in a regime that generates nothing"
            if self.weigh is not None and self.weigh.score is not None:
                yield "weigh.score", "no score in a regime that generates nothing"
        if self.population is not None and self.select is not None:
            yield "select", "no selection beside a population"
        if self.provenance == "bernoulli" and self.fresh_real == 0 and not self._draws_shares:
            yield "provenance", "fixed, where no fresh_real arrives and no budget draws shares"

    @property
    def _draws_shares(self) -> bool:
        return self.budget is not None and self.weigh is not None and self.weigh.real is not None

    @property
    def trains_on_whole_pools(self) -> bool:
        """Whether every training set is its whole pool, so that statistics of shards are enough."""
        return self.budget is None

    def sees_newest_alone(self, n: int) -> bool:
        """Tell whether iterations t >= 2 train only on samples of the newest model."""
        return self.memory == 1 and not self.kept_real(n) and self.fresh_real == 0

    @property
    def starts_from_previous(self) -> bool:
        """Whether the training of iteration t >= 2 starts from the model of iteration t - 1."""
        return self.start == "previous"

    @property
    def is_mixture(self) -> bool:
        """Whether a training set is initial real samples and all samples of the newest model.

        Mixtures are compared by their training sets, so all of them start from scratch.
        """
        whole = self.memory == 1 and self.trains_on_whole_pools and self.fresh_real == 0
        return whole and self.is_plain and not self.starts_from_previous

    def oldest_arrival(self, t: int) -> int:
        """Return the first iteration whose arrivals are still in the pool of iteration t >= 2."""
        return 2 if self.memory is None else max(2, t - self.memory + 1)

    def kept_real(self, n: int) -> int:
        """Return how many of the n initial real samples are in the pool at t >= 2."""
        return samples_in(self.keep_real, n, 1)

    def generated(self, t: int, n: int) -> int:
        """Return how many samples the model of iteration t - 1 generates for iteration t >= 2."""
        return samples_in(self.generate, n, t)

    def generated_from(self, t: int, n: int) -> Iterator[int]:
        """Yield the values of `generated` at iterations t, t + 1, ... without end."""
        if self.generate == "n" or isinstance(self.generate, int):
            return itertools.repeat(self.generated(t, n))
        return (self.generated(later, n) for later in itertools.count(t))

    def fresh(self, t: int, n: int) -> int:
        """Return how many new real samples arrive at iteration t >= 2."""
        return samples_in(self.fresh_real, n, t)

    def real_samples(self, iterations: int, n: int) -> int:
        """Return how many real samples iterations 1..T train on: the initial and all fresh ones."""
        if self.fresh_real == 0:
            return n
        return n + sum(self.fresh(t, n) for t in range(2, iterations + 1))

    def pool(self, t: int, n: int) -> tuple[Source, ...]:
        """Return the sources in the pool of iteration t that are not empty, oldest first."""
        if t == 1:
            return (Source("real", 1, n),)
        sources = [Source("real", 1, self.kept_real(n))]
        for arrival in range(self.oldest_arrival(t), t + 1):
            sources.append(Source("synthetic", arrival - 1, self.generated(arrival, n)))
            sources.append(Source("fresh", arrival, self.fresh(arrival, n)))
        return tuple(source for source in sources if source.size)

    def pool_sizes(self, iterations: int, n: int) -> list[int]:
        """Return the size of the pool at each iteration 1..T, in time linear in T."""
        later = range(2, iterations + 1)
        arrivals = map(
            operator.add,
            samples_at(self.generate, n, later),
            samples_at(self.fresh_real, n, later),
        )
        arrived = [0, 0, *itertools.accumulate(arrivals)]  # up to each t
        kept = self.kept_real(n)
        gone = [arrived[self.oldest_arrival(t) - 1] for t in later]
        return [n, *(kept + arrived[t] - gone[t - 2] for t in later)]

    def training_sizes(self, iterations: int, n: int) -> list[int]:
        """Return the size of the training set of each iteration 1..T."""
        pools = self.pool_sizes(iterations, n)
        if self.budget is None:
            return pools
        return [n, *samples_at(self.budget, n, range(2, iterations + 1))]

    def training_size(self, t: int, n: int, pool_size: int) -> int:
        """Return the size of the training set of iteration t, given the size of its pool."""
        if t == 1 or self.budget is None:
            return pool_size
        return samples_in(self.budget, n, t)

    def check(self, iterations: int, n: int, minimum: int = 1) -> None:
        """Check that pools can provide the training sets of iterations 1..T.

        Raises
        ------
        ValueError
            If a training set has fewer than ``minimum`` samples or more than its pool, or if
            more than n real samples are kept.
        """
        if self.kept_real(n) > n:
            raise ValueError(f"keep_real is {self.kept_real(n)}, more than samples = {n}")
        sizes = zip(self.pool_sizes(iterations, n), self.training_sizes(iterations, n), strict=True)
        for t, (size, budget) in enumerate(sizes, start=1):
            if t > 1 and self.weigh is not None:
                self._check_weights(t, n)
                size = max(size, budget if size else 0)  # drawn with replacement
            if budget > size:
                raise ValueError(
                    f"budget is {budget} at iteration {t}, more than the {size} in the pool"
                )
            if budget < minimum:
                raise ValueError(
                    f"the training set of iteration {t} has {budget} samples "
                    f"(samples = {n}), fewer than {minimum}"
                )

    def _check_weights(self, t: int, n: int) -> None:
        """Check that the pool has samples of each kind that is to have a share of the weight."""
        share = self.weigh.real_share(t) if self.weigh is not None else None
        if share is None:
            return
        # All sources of one kind are there if the newest is, or the initial real data.
        real = bool(self.kept_real(n)) or any(
            self.fresh(arrival, n) for arrival in range(self.oldest_arrival(t), t + 1)
        )
        written = any(
            self.generated(arrival, n) for arrival in range(self.oldest_arrival(t), t + 1)
        )
        for there, part, kind in ((real, share, "real"), (written, 1 - share, "synthetic")):
            if part > 0 and not there:
                raise ValueError(
                    f"{kind} samples have {part:g} of the weight at iteration {t}, but the pool "
                    "has none"
                )
