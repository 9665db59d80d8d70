"""Selection in closed form: the candidates of slots, drawn in parts, and the one that each keeps.

However many candidates there are, so many of them are in memory at once. The parts go on where the
streams of random numbers were left, so that what is kept does not depend on how they are cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from collapse.errors import JobError
from collapse.families.simulator import Draw, Samples, Simulator
from collapse.regimes import Select, choose, rivals
from collapse.seeding import Streams

Array = NDArray[np.float64]

#: With a threshold, how many candidates of each slot are drawn at once.
ROUND = 16


class Selected(NamedTuple):
    """The samples that slots keep, and metrics of their selection of shape (seeds,)."""

    samples: Samples
    metrics: dict[str, Array]


class _Drawn(NamedTuple):
    """Candidates of slots, as arrays of shape (seeds, slots, candidates, ...).

    ``number`` counts the candidates of a slot, and ``noise`` is what softmax decides by.
    """

    number: NDArray[np.int64]
    scores: Array
    noise: Array
    samples: Samples

    def at(self, index: NDArray[np.int64]) -> _Drawn:
        """Return one candidate of each slot: (seeds, slots, 1, ...)."""
        samples = tuple(_taken(one, index) for one in self.samples)
        return _Drawn(
            _taken(self.number, index),
            _taken(self.scores, index),
            _taken(self.noise, index),
            samples,
        )

    def beside(self, other: _Drawn) -> _Drawn:
        """Return the candidates of the same slots in both."""
        return _Drawn(
            np.concatenate((self.number, other.number), axis=2),
            np.concatenate((self.scores, other.scores), axis=2),
            np.concatenate((self.noise, other.noise), axis=2),
            tuple(
                np.concatenate(pair, axis=2)
                for pair in zip(self.samples, other.samples, strict=True)
            ),
        )


class Selector:
    """Draws the samples that a regime selects.

    Parameters
    ----------
    select : Select
    sign : int
        1 if a higher score is better, -1 if a lower one is.
    simulator : Simulator
    streams : Streams
        The random streams of the seeds.
    at_once : int
        How many candidates of each seed are in memory at once, with best and softmax.
    """

    def __init__(
        self,
        select: Select,
        sign: int,
        simulator: Simulator[Any, Any],
        streams: Streams,
        at_once: int,
    ) -> None:
        self._select, self._sign = select, sign
        self._simulator, self._streams = simulator, streams
        self._at_once = at_once

    def samples(self, model: Any, count: int, t: int) -> Selected:
        """Return the samples of so many slots that the newest model writes for iteration t."""
        if self._select.rule == "threshold":
            return self._first_that_passes(model, count, t)
        each, size = self._select.candidates, max(1, self._at_once // self._select.candidates)
        total = np.zeros(len(self._streams))
        whole = each * count <= self._at_once
        with nullcontext() if whole else self._streams.continued():
            parts = [
                self._of_slots(model, range(first, min(count, first + size)), t, total)
                for first in range(0, count, size)
            ]
        samples, kept, wrong = parts[0] if whole else map(_joined, zip(*parts, strict=True))
        looked_at = np.full(len(total), each * count)
        return Selected(samples, _metrics(total, looked_at, kept, wrong))

    def _of_slots(
        self, model: Any, slots: range, t: int, total: Array
    ) -> tuple[Samples, Array, NDArray[np.bool_]]:
        """Return what slots keep, its scores, and where it is wrong; add up all scores in total."""
        # What is kept without an error of the verifier, and with one if it errs.
        winners: list[_Drawn] = []
        mistaken = np.zeros((len(total), len(slots)), dtype=np.int64)
        for first in range(0, self._select.candidates, self._at_once):
            stop = min(self._select.candidates, first + self._at_once)
            drawn = self._drawn(model, slots, range(first, stop), t)
            total += drawn.scores.sum(axis=(1, 2))
            mistakes = self._mistakes(drawn.scores, t)
            new = [drawn.at(index) for index in self._rivals(drawn)]
            if first == 0:
                winners, mistaken[:] = new, mistakes[..., 0] < self._select.error
                continue
            pairs = [held.beside(one) for held, one in zip(winners, new, strict=True)]
            winners = [pair.at(self._rivals(pair)[k]) for k, pair in enumerate(pairs)]
        right, *others = winners
        kept = right.beside(others[0]).at(mistaken) if others else right
        samples = tuple(one[:, :, 0] for one in kept.samples)
        return samples, kept.scores[..., 0], (kept.number != right.number)[..., 0]

    def _first_that_passes(self, model: Any, count: int, t: int) -> Selected:
        """Draw candidates for all slots in rounds, until each slot has one that passes."""
        select = self._select
        samples: Samples | None = None
        open_slots = np.ones((len(self._streams), count), dtype=bool)
        wrong, kept = np.zeros(open_slots.shape, dtype=bool), np.zeros(open_slots.shape)
        looked_at = np.zeros(open_slots.shape, dtype=np.int64)
        total = np.zeros(len(self._streams))
        for attempt, first in enumerate(range(0, select.candidates, ROUND)):
            each = min(ROUND, select.candidates - first)
            drawn = self._drawn(model, range(count), range(each), t, attempt)
            scores = drawn.scores
            mistakes = self._mistakes(scores, t, attempt)
            choice = choose(select, scores, self._sign, drawn.noise, mistakes)
            counted = np.arange(each) < np.where(open_slots, choice.looked_at, 0)[..., None]
            total += np.where(counted, scores, 0.0).sum(axis=(1, 2))
            looked_at += counted.sum(axis=2)
            passed = open_slots & (choice.kept >= 0)
            taken = drawn.at(np.maximum(choice.kept, 0))
            kept[passed] = taken.scores[..., 0][passed]
            wrong[passed] = choice.wrong[passed]
            if samples is None:
                samples = tuple(one[:, :, 0] for one in taken.samples)
            else:
                for held, new in zip(samples, taken.samples, strict=True):
                    held[passed] = new[:, :, 0][passed]
            open_slots &= ~passed
            if not open_slots.any():
                break
        if samples is None or open_slots.any():
            raise self._exhausted(open_slots, int(looked_at.sum()), t)
        return Selected(samples, _metrics(total, looked_at.sum(axis=1), kept, wrong))

    def _exhausted(self, open_slots: NDArray[np.bool_], looked_at: int, t: int) -> JobError:
        select = self._select
        seed = self._streams.seeds[int(open_slots.any(axis=1).argmax())]
        rate = (open_slots.size - open_slots.sum()) / looked_at
        return JobError(
            f"select.threshold: found {int(open_slots.sum())} of {open_slots.size} samples for "
            f"iteration {t} (the first with seed {seed}) of which none of "
            f"{select.candidates} candidates has a {select.score} that passes "
            f"{select.threshold:g}, with an acceptance rate of {rate:.3g}; expected all to "
            "pass (raise candidates, or choose another threshold)"
        )

    def _drawn(self, model: Any, slots: range, some: range, t: int, attempt: int = 0) -> _Drawn:
        """Draw some candidates of slots."""
        select, seeds = self._select, len(self._streams)
        shape = len(slots), len(some)
        each = shape[1] if select.rule == "threshold" else select.candidates
        part = Draw(slots.start * each + some.start, each, attempt)
        flat = self._simulator.sample(model, shape[0] * shape[1], t - 1, part)
        scores = self._simulator.score(select.score, flat).reshape(seeds, *shape)
        noise = np.broadcast_to(1.0, scores.shape)
        if select.rule == "softmax":
            noise = self._streams.uniform("selection", t, shape)
        return _Drawn(
            np.broadcast_to(np.arange(some.start, some.stop), scores.shape),
            scores,
            noise,
            tuple(one.reshape(seeds, *shape, *one.shape[2:]) for one in flat),
        )

    def _mistakes(self, scores: Array, t: int, attempt: int = 0) -> Array:
        """Return the random numbers that decide where the verifier is wrong."""
        if self._select.error == 0:
            return np.broadcast_to(1.0, scores.shape)
        return self._streams.uniform("errors of the verifier", t, scores.shape[1:], attempt=attempt)

    def _rivals(self, drawn: _Drawn) -> Sequence[NDArray[np.int64]]:
        found = rivals(self._select, drawn.scores, self._sign, drawn.noise)
        return found if self._select.error else found[:1]


def _taken(array: NDArray[Any], index: NDArray[np.int64]) -> NDArray[Any]:
    """Return one candidate of each slot: (seeds, slots, 1, ...)."""
    return np.take_along_axis(array, index.reshape(*index.shape, *(1,) * (array.ndim - 2)), axis=2)


def _joined(parts: Sequence[Any]) -> Any:
    """Return arrays, or tuples of arrays, of slots that follow each other."""
    if isinstance(parts[0], tuple):
        return tuple(map(_joined, zip(*parts, strict=True)))
    return np.concatenate(parts, axis=1)


def _metrics(
    total: Array, looked_at: NDArray[np.int64], kept: Array, wrong: NDArray[np.bool_]
) -> dict[str, Array]:
    return {
        "accepted_share": kept.shape[1] / looked_at,
        "score_of_candidates": total / looked_at,
        "score_of_kept": kept.mean(axis=1),
        "wrongly_accepted": wrong.mean(axis=1),
    }
