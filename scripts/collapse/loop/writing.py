"""What models write in closed form: candidates, the selected samples, their weights and metrics."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from collapse import families
from collapse.errors import JobError
from collapse.families import regime_metrics
from collapse.families.simulator import Samples, Simulator
from collapse.regimes import Balance, Choice, Select, Totals, choose
from collapse.seeding import Streams
from collapse.study.chain_spec import ChainSpec

Array = NDArray[np.float64]

#: With a threshold, how many candidates of each slot are drawn at once.
AT_ONCE = 16


class Writer:
    """Draws the samples that models write for the next iteration, as the regime selects them.

    It also draws which arriving samples are real, and records the metrics of what the regime did.

    Parameters
    ----------
    spec : ChainSpec
    simulator : Simulator
    streams : Streams
        The random streams of the seeds.
    """

    def __init__(self, spec: ChainSpec, simulator: Simulator[Any, Any], streams: Streams) -> None:
        self._regime, self._n = spec.regime, spec.samples
        self._simulator = simulator
        self._streams = streams
        self._scores = families.load(spec.family).scores
        self._declared = regime_metrics.of_regime(spec.regime)
        self._recorded: dict[int, dict[str, Array]] = {}
        if regime_metrics.OF_WEIGHTS.keys() <= self._declared.keys():
            self._record(1, "effective_sample_size", np.full(self.seeds, float(spec.samples)))
            self._record(1, "real_share", np.ones(self.seeds))

    @property
    def seeds(self) -> int:
        """The number of seeds."""
        return len(self._streams)

    @property
    def counts_all_the_same(self) -> bool:
        """Whether all synthetic samples have the same weight."""
        return self._regime.weigh is None or self._regime.weigh.score is None

    def statistics(self, model: Any, count: int, t: int) -> Any:
        """Return the statistics of the samples that arrive at iteration t, of the newest model."""
        if self._regime.select is None:
            return self._simulator.sample_statistics(model, count, t - 1)
        return self._simulator.summarise(self.samples(model, count, t))

    def samples(self, model: Any, count: int, t: int) -> Samples:
        """Return the samples that arrive at iteration t, written by the newest model."""
        select = self._regime.select
        if select is None:
            return self._simulator.sample(model, count, t - 1)
        if select.rule == "threshold":
            return self._first_that_passes(select, model, count, t)
        candidates = self._candidates(model, count, t, select.candidates)
        scores = self._score(select, candidates)
        choice = self._choose(select, scores, t)
        kept = np.take_along_axis(scores, choice.kept[..., None], axis=2)[..., 0]
        self._record_selection(
            t, scores.sum(axis=(1, 2)), choice.looked_at.sum(axis=1), kept, choice.wrong
        )
        return _taken(candidates, choice.kept)

    def _first_that_passes(self, select: Select, model: Any, count: int, t: int) -> Samples:
        """Draw candidates for all slots, some at once, until each slot has one that passes."""
        samples: Samples | None = None
        open_slots = np.ones((self.seeds, count), dtype=bool)
        wrong, kept = np.zeros(open_slots.shape, dtype=bool), np.zeros(open_slots.shape)
        looked_at = np.zeros(open_slots.shape, dtype=np.int64)
        total = np.zeros(self.seeds)
        for attempt, drawn in enumerate(range(0, select.candidates, AT_ONCE)):
            each = min(AT_ONCE, select.candidates - drawn)
            candidates = self._candidates(model, count, t, each, attempt)
            scores = self._score(select, candidates)
            choice = self._choose(select, scores, t, attempt)
            counted = np.arange(each) < np.where(open_slots, choice.looked_at, 0)[..., None]
            total += np.where(counted, scores, 0.0).sum(axis=(1, 2))
            looked_at += counted.sum(axis=2)
            passed = open_slots & (choice.kept >= 0)
            index = np.maximum(choice.kept, 0)
            kept[passed] = np.take_along_axis(scores, index[..., None], axis=2)[..., 0][passed]
            wrong[passed] = choice.wrong[passed]
            taken = _taken(candidates, index)
            if samples is None:
                samples = taken
            else:
                for held, new in zip(samples, taken, strict=True):
                    held[passed] = new[passed]
            open_slots &= ~passed
            if not open_slots.any():
                break
        if samples is None or open_slots.any():
            seed = self._streams.seeds[int(open_slots.any(axis=1).argmax())]
            rate = (open_slots.size - open_slots.sum()) / looked_at.sum()
            raise JobError(
                f"select.threshold: found {int(open_slots.sum())} of {open_slots.size} samples for "
                f"iteration {t} (the first with seed {seed}) of which none of "
                f"{select.candidates} candidates has a {select.score} that passes "
                f"{select.threshold:g}, with an acceptance rate of {rate:.3g}; expected all to "
                "pass (raise candidates, or choose another threshold)"
            )
        self._record_selection(t, total, looked_at.sum(axis=1), kept, wrong)
        return samples

    def _candidates(self, model: Any, count: int, t: int, each: int, attempt: int = 0) -> Samples:
        """Return candidates as arrays of shape (seeds, slots, candidates, ...)."""
        drawn = self._simulator.sample(model, count, t - 1, each=each, attempt=attempt)
        return tuple(array.reshape(self.seeds, count, each, *array.shape[2:]) for array in drawn)

    def _score(self, select: Select, candidates: Samples) -> Array:
        """Return the scores of candidates: (seeds, slots, candidates)."""
        shape = candidates[0].shape[:3]
        flat = tuple(array.reshape(self.seeds, -1, *array.shape[3:]) for array in candidates)
        return self._simulator.score(select.score, flat).reshape(shape)

    def _choose(self, select: Select, scores: Array, t: int, attempt: int = 0) -> Choice:
        """Choose a candidate of each slot."""

        def chances(purpose: str, used: bool) -> Array:
            if not used:
                return np.broadcast_to(1.0, scores.shape)
            return self._streams.uniform(purpose, t, scores.shape[1:], attempt=attempt)

        noise = chances("selection", select.rule == "softmax")
        mistakes = chances("errors of the verifier", select.error > 0)
        return choose(select, scores, self._scores[select.score].sign, noise, mistakes)

    def _record_selection(
        self,
        t: int,
        total: Array,
        looked_at: NDArray[np.int64],
        kept: Array,
        wrong: NDArray[np.bool_],
    ) -> None:
        self._record(t, "accepted_share", kept.shape[1] / looked_at)
        self._record(t, "score_of_candidates", total / looked_at)
        self._record(t, "score_of_kept", kept.mean(axis=1))
        self._record(t, "wrongly_accepted", wrong.mean(axis=1))

    def weights(self, samples: Samples, t: int, there: NDArray[np.bool_] | None = None) -> Array:
        """Return the weights of synthetic samples (seeds, samples); 0 where they are not there."""
        weigh = self._regime.weigh
        if weigh is None or weigh.score is None:
            weights = np.ones(samples[0].shape[:2])
        else:
            try:
                weights = weigh.of_scores(self._simulator.score(weigh.score, samples))
            except ValueError as error:
                raise JobError(f"weigh: {error} at iteration {t}") from None
            if not weights.any(axis=1).all():
                raise JobError(
                    f"weigh: found the weight 0 for every sample that is written for iteration {t},"
                    " expected a positive one"
                )
        return weights if there is None else weights * there

    def provenance(self, t: int) -> NDArray[np.bool_] | None:
        """Draw which of the samples that arrive at iteration t are real: (seeds, arriving).

        It is None if their numbers are fixed.
        """
        fresh = self._regime.fresh(t, self._n)
        arriving = fresh + self._regime.generated(t, self._n)
        if self._regime.provenance == "fixed" or not 0 < fresh < arriving:
            return None
        return self._streams.uniform("provenance", t, (arriving,)) < fresh / arriving

    def real_share(self, t: int) -> float | None:
        """Return the share of real samples in all weight at iteration t, if the regime has one."""
        return self._regime.weigh.real_share(t) if self._regime.weigh else None

    def record_weights(self, t: int, factors: Balance, real: Totals, synthetic: Totals) -> None:
        """Record the effective sample size and the share of real samples of a training set."""
        parts = factors.real * real.weight, factors.synthetic * synthetic.weight
        self.record_sizes(t, factors.effective, parts[0] / (parts[0] + parts[1]))

    def record_sizes(self, t: int, effective: Array | int, real_share: Array) -> None:
        """Record the effective sample size and the share of real samples of a training set."""
        self._record(t, "effective_sample_size", np.full(self.seeds, effective))
        self._record(t, "real_share", real_share)

    def _record(self, t: int, name: str, values: Array) -> None:
        self._recorded.setdefault(t, {})[name] = np.asarray(values, dtype=np.float64)

    def metrics(self, t: int) -> dict[str, Array]:
        """Return the metrics of what the regime did for iteration t: NaN where it did nothing."""
        found = self._recorded.pop(t, {})
        nothing = np.full(self.seeds, np.nan)
        return {name: found.get(name, nothing) for name in self._declared}


def _taken(candidates: Samples, kept: NDArray[np.int64]) -> Samples:
    """Return the kept candidate of each slot."""
    return tuple(
        np.take_along_axis(array, kept.reshape(*kept.shape, 1, *(1,) * (array.ndim - 3)), axis=2)[
            :, :, 0
        ]
        for array in candidates
    )
