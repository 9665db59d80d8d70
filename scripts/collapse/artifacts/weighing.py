"""How much the samples of a training set count, by what its manifest says of their sources.

Weights are fixed when a training set is assembled. Without a budget each sample has one, and their
mean over the training set is 1. With a budget the weights of the pool are probabilities of the
draw, which is made with replacement, and all samples that are drawn count the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from collapse import regimes
from collapse.artifacts.manifest import ShardFile, ShardRecord, SourceRecord, Weighing
from collapse.artifacts.step import Step
from collapse.errors import JobError
from collapse.regimes import Regime, Source, Totals, Weigh, balance

Array = NDArray[np.float64]

#: The column of a shard with the score of each sample.
SCORE = "score"


class Composition(NamedTuple):
    """How many samples of each source are in a training set, how they are weighed, and metrics."""

    counts: NDArray[np.int64]
    weighings: Sequence[Weighing | None]
    metrics: dict[str, float]


def compose(
    regime: Regime,
    step: Step,
    pool: Sequence[Source],
    files: Sequence[Sequence[ShardFile]],
    before: Sequence[SourceRecord],
) -> Composition:
    """Decide how much of each source in a pool an iteration trains on.

    Parameters
    ----------
    regime : Regime
    step : Step
        The key of the iteration.
    pool, files : sequence
        The sources, and the files of each that is synthetic.
    before : sequence of SourceRecord
        The sources of the training set before, with the weights of their samples.

    Raises
    ------
    JobError
        If scores make no weights.
    """
    t, sizes = step.iteration, np.array([source.size for source in pool], dtype=np.int64)
    unweighted: list[None] = [None] * len(pool)
    if t == 1:
        return Composition(sizes, unweighted, {})
    budget = regime.training_size(t, step.samples, int(sizes.sum()))
    stream = step.stream("counts")
    if regime.weigh is None or not sizes.sum():
        counts = regimes.draw_counts(tuple(pool), budget, stream)
        drawn = regime.provenance == "bernoulli"
        return Composition(counts, unweighted, _of_counts(pool, counts) if drawn else {})
    weighings = _of_pool(regime.weigh, t, pool, files, before)
    weighings, metrics = _balanced(regime.weigh, t, pool, weighings)
    if regime.budget is None:
        return Composition(sizes, weighings, metrics)
    counts = _draw_counts(regime, pool, weighings, budget, stream)
    drawn_by = [one.model_copy(update={"replacement": True}) for one in weighings]
    return Composition(counts, drawn_by, metrics)


def _of_counts(pool: Sequence[Source], counts: NDArray[np.int64]) -> dict[str, float]:
    """Return the metrics of a training set whose samples all count the same."""
    real, size = counts[_is_real(pool)].sum(), counts.sum()
    return {"effective_sample_size": float(size), "real_share": float(real / size)} if size else {}


def _is_real(pool: Sequence[Source]) -> NDArray[np.bool_]:
    return np.array([source.kind != "synthetic" for source in pool], dtype=bool)


def _of_pool(
    weigh: Weigh,
    t: int,
    pool: Sequence[Source],
    files: Sequence[Sequence[ShardFile]],
    before: Sequence[SourceRecord],
) -> list[Weighing]:
    """Return the weights of the sources in a pool, without the factors of their kinds."""
    weighed = {(source.kind, source.iteration): source.weighing for source in before}
    found = []
    for source, stored in zip(pool, files, strict=True):
        known = weighed.get((source.kind, source.iteration))
        if weigh.score is None or source.kind != "synthetic":
            found.append(Weighing(number=source.size, total=source.size, square=source.size))
        elif known is not None:
            found.append(known)
        else:
            held = np.concatenate([scores(Path(part.path)) for part in stored])
            found.append(_of_scores(weigh, held, t))
    return found


def scores(path: Path, rows: NDArray[np.integer[Any]] | None = None) -> Array:
    """Read the scores that are stored with the samples of a shard, of some rows or all."""
    from collapse.artifacts import shard_rows  # which imports pyarrow; few training sets need it

    parts = [np.asarray(table[SCORE]) for table in shard_rows.read(path, rows, (SCORE,))]
    return np.concatenate([np.empty(0), *parts])


def _of_scores(weigh: Weigh, held: Array, t: int) -> Weighing:
    try:
        weights = weigh.of_scores(held)
    except ValueError as error:
        raise JobError(f"weigh: {error} at iteration {t}") from None
    if not weights.any():
        raise JobError(
            f"weigh: found the weight 0 for every sample that is written for iteration {t}, "
            "expected a positive one"
        )
    (number,), (total,), (square,) = Totals.of(weights[None])
    return Weighing(number=number, total=total, square=square, score=weigh.score, power=weigh.power)


def _balanced(
    weigh: Weigh, t: int, pool: Sequence[Source], weighings: Sequence[Weighing]
) -> tuple[list[Weighing], dict[str, float]]:
    """Return the weights with the factors of their kinds, and the metrics of the weights."""
    real, synthetic = (
        _totals([one for one, there in zip(weighings, kind, strict=True) if there])
        for kind in (_is_real(pool), ~_is_real(pool))
    )
    factors = balance(weigh.real_share(t), real, synthetic)
    of_real = float((factors.real * real.weight)[0])
    total = of_real + float((factors.synthetic * synthetic.weight)[0])
    scale = sum(source.size for source in pool) / total  # the mean weight becomes 1
    of_kind = np.where(_is_real(pool), factors.real, factors.synthetic) * scale
    found = [
        one.model_copy(update={"factor": float(factor)})
        for one, factor in zip(weighings, of_kind, strict=True)
    ]
    effective = float(factors.effective[0])
    return found, {"effective_sample_size": effective, "real_share": of_real / total}


def _totals(weighings: Sequence[Weighing]) -> Totals:
    sums = np.sum([(0, 0, 0), *((w.number, w.total, w.square) for w in weighings)], axis=0)
    return Totals(*(np.array([each], dtype=np.float64) for each in sums))


def _draw_counts(
    regime: Regime,
    pool: Sequence[Source],
    weighings: Sequence[Weighing],
    budget: int,
    generator: np.random.Generator,
) -> NDArray[np.int64]:
    """Draw how many of ``budget`` samples come from each source, with replacement.

    With fixed provenance the number of real samples is the share that real samples have in all
    weight, rounded, if the regime gives one; else it is random.
    """
    weights = np.array([one.factor * one.total for one in weighings])
    shared = regime.weigh is not None and regime.weigh.real is not None
    if regime.provenance == "bernoulli" or not shared:
        return generator.multinomial(budget, weights / weights.sum())
    counts, real = np.zeros(len(pool), dtype=np.int64), _is_real(pool)
    number = int(weights[real].sum() / weights.sum() * budget + 0.5)
    for kind, size in ((real, number), (~real, budget - number)):
        if size:
            counts[kind] = generator.multinomial(size, weights[kind] / weights[kind].sum())
    return counts


def draw_rows(source: SourceRecord, generator: np.random.Generator) -> NDArray[np.int64]:
    """Draw the samples of a source with replacement, in ascending order."""
    weighing = source.weighing
    if weighing is None or weighing.score is None:
        return np.sort(generator.integers(source.size, size=source.count))
    held = np.concatenate([scores(Path(part.path)) for part in source.files])
    sums = np.cumsum(_powers(weighing, held))
    rows = np.searchsorted(sums, generator.random(source.count) * sums[-1], side="right")
    # Rounding may not lead beyond the last sample that has a chance.
    return np.sort(np.minimum(rows, np.searchsorted(sums, sums[-1])))


def of_rows(source: SourceRecord, path: str | None, rows: NDArray[np.int64]) -> Array | None:
    """Return the weights of some rows of a file of a source; None if each counts 1."""
    weighing = source.weighing
    if weighing is None or weighing.replacement:
        return None
    if weighing.score is not None and path is not None:
        return weighing.factor * _powers(weighing, scores(Path(path), rows))
    return None if weighing.factor == 1 else np.full(len(rows), weighing.factor)


def _powers(weighing: Weighing, held: Array) -> Array:
    return Weigh(score=weighing.score, power=weighing.power).of_scores(held)


def of_selection(records: Sequence[ShardRecord]) -> dict[str, float]:
    """Return the metrics of the selection of the samples in some shards; none without any."""
    sums: dict[str, float] = {}
    for record in records:
        for name, value in record.details.get("selection", {}).items():
            sums[name] = sums.get(name, 0) + value
    if not sums:
        return {}
    return {
        "accepted_share": sums["slots"] / sums["looked_at"],
        "score_of_candidates": sums["score_of_candidates"] / sums["looked_at"],
        "score_of_kept": sums["score_of_kept"] / sums["slots"],
        "wrongly_accepted": sums["wrongly_accepted"] / sums["slots"],
    }
