"""Whether theory agrees, for each experiment, regime and metric, from all comparisons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from collapse.results import evidence
from collapse.results.comparisons import NOT_PREDICTED, Compared
from collapse.results.evidence import Score

if TYPE_CHECKING:
    import pandas as pd

#: Probability of a false alarm in a study, if all of its theory holds: a part for each test.
FALSE_ALARM = 1e-3
#: The tests, and what disagrees if one fails.
TESTS = {
    "single": "a point at an iteration",
    "pooled": "all points at an iteration",
    "overall": "all points and iterations",
    "seeds": "seeds depend on each other",
}
#: Why a comparison can't be made, and the verdict if none can.
NOT_MADE = ("too few seeds", "infinite variance", "out of range")
AGREES, DISAGREES = "agrees", "DISAGREES"
COLUMNS = ["experiment", "regime", "metric", "points", "comparisons"]
COLUMNS += [*(reason.replace(" ", "_") for reason in NOT_MADE), "not_finite"]
COLUMNS += [f"{name}_{test}" for test in TESTS for name in ("largest", "limit")]
COLUMNS += ["verdict", "because", "source"]


class _Judged(NamedTuple):
    """The scores of a group of chains, by test, each with the largest that it can attain."""

    scores: dict[str, list[Score]]

    def largest(self, test: str) -> float:
        """Return the largest absolute score of a test; NaN without any."""
        found = [abs(z) for score in self.scores[test] for z in np.ravel(score.z)]
        return max((z for z in found if not np.isnan(z)), default=np.nan)

    def count(self, test: str) -> int:
        """Return how many scores a test has that may attain something."""
        return sum(int(np.count_nonzero(~np.isnan(score.z))) for score in self.scores[test])

    def decides(self, test: str, limit: float) -> bool:
        """Tell whether any score of a test can attain its limit."""
        return any(
            score.attainable > limit and np.any(~np.isnan(score.z)) for score in self.scores[test]
        )


def judge(compared: Sequence[Compared]) -> pd.DataFrame:
    """Return whether theory agrees, for each experiment, regime and metric.

    There are four tests, each corrected (Bonferroni) for a false alarm in a fourth of `FALSE_ALARM`
    of studies: of single comparisons; of all points at one iteration, and of all points and
    iterations together, which detect an error too small for any one point; and of whether
    different seeds are independent.
    """
    import pandas as pd

    groups = _grouped(compared, lambda one: (one.spec.experiment, one.spec.regime_name, one.metric))
    pools = _grouped(compared, lambda one: (one.spec.experiment, one.pool, one.metric))
    pooled = {names: _judge_pool(mine) for names, mine in pools.items()}
    singles = [
        (names, mine, _single(mine), pooled[names[0], mine[0].pool, names[2]])
        for names, mine in groups.items()
    ]
    counts = {test: sum(one.count(test) for one in pooled.values()) for test in list(TESTS)[1:]} | {
        "single": sum(one.count("single") for _, _, one, _ in singles)
    }
    limits = {test: evidence.limit(FALSE_ALARM / len(TESTS), counts[test]) for test in TESTS}
    rows = [
        _row(names, mine, _Judged({**pool.scores, **single.scores}), limits)
        for names, mine, single, pool in singles
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _grouped(compared: Sequence[Compared], key: Any) -> dict[tuple[str, ...], list[Compared]]:
    groups: dict[tuple[str, ...], list[Compared]] = {}
    for one in compared:
        groups.setdefault(key(one), []).append(one)
    return groups


def _single(compared: Sequence[Compared]) -> _Judged:
    found = [Score(one.comparison.z, one.comparison.attainable) for one in compared]
    return _Judged({"single": found})


def _judge_pool(compared: Sequence[Compared]) -> _Judged:
    """Score the chains of a pool together; those that have one number apart from the others."""
    chains = [one.comparison.deviations for one in compared]
    return _Judged(
        {
            "pooled": [evidence.pooled_over_points(chains)],
            "overall": [evidence.pooled_over_all(chains)],
            "seeds": [evidence.between_seeds(chains)],
        }
    )


def _row(
    names: tuple[str, ...], compared: Sequence[Compared], judged: _Judged, limits: dict[str, float]
) -> dict[str, Any]:
    status = Counter(
        str(one) for compared_one in compared for one in _statuses(compared_one, limits["single"])
    )
    largest = {test: judged.largest(test) for test in TESTS}
    failed = [TESTS[test] for test in TESTS if largest[test] > limits[test]]
    if status["not finite"]:
        failed = ["a simulation is not finite", *failed[1:]]
    bounded = any(one.comparison.bounded for one in compared)
    scored = bounded or any(np.any(one.comparison.deviations.weights) for one in compared)
    deciding = ["single"] if bounded else ["single", "pooled", "overall"]
    decided = scored and any(judged.decides(test, limits[test]) for test in deciding)
    if failed:
        verdict = DISAGREES
    elif decided or (status["compared"] and not scored):
        verdict = AGREES
    else:
        reasons = [reason for reason in NOT_MADE if status[reason]] or [NOT_MADE[0]]
        verdict = NOT_MADE[0] if scored else max(reasons, key=status.__getitem__)
    row: dict[str, Any] = dict(zip(("experiment", "regime", "metric"), names, strict=True))
    row |= {
        "points": len({one.spec.point for one in compared}),
        "comparisons": sum(status.values()),
        **{reason.replace(" ", "_"): status[reason] for reason in NOT_MADE},
        "not_finite": status["not finite"],
    }
    for test in TESTS:
        row |= {f"largest_{test}": largest[test], f"limit_{test}": limits[test]}
    sources = dict.fromkeys(one.source for one in compared)
    return {
        **row,
        "verdict": verdict,
        "because": "; ".join(failed),
        "source": "; ".join(sources),
    }


def _statuses(one: Compared, limit: float) -> Iterator[str]:
    """Yield the status of each comparison; those whose seeds are too few count in pools alone."""
    few = one.comparison.attainable <= limit
    for status, z, weight in zip(
        one.comparison.status, one.comparison.z, one.comparison.deviations.weights, strict=True
    ):
        scored = (one.comparison.bounded or bool(np.any(weight))) and np.isfinite(z)
        if status != NOT_PREDICTED:
            yield "too few seeds" if few and scored and status == "compared" else str(status)


def of_regime(verdicts: pd.DataFrame) -> str:
    """Return the verdict on a regime from those on its metrics, and how much of it was compared."""
    verdict, total = together(list(verdicts["verdict"])), int(verdicts["comparisons"].sum())
    left_out = int(verdicts["infinite_variance"].sum() + verdicts["out_of_range"].sum())
    if verdict == AGREES and left_out:
        return f"{verdict} ({total - left_out} of {total})"
    return verdict


def together(verdicts: Sequence[str]) -> str:
    """Return one verdict for several, empty for none: a disagreement, else an agreement if any."""

    def rank(verdict: str) -> tuple[int, bool]:
        kinds = (DISAGREES, AGREES, *NOT_MADE)
        return [verdict.startswith(kind) for kind in kinds].index(True), "(" not in verdict

    return min(verdicts, key=rank, default="")


def line(verdicts: pd.DataFrame) -> str:
    """Say how many comparisons were made, and why the others were not; empty without any."""
    total = int(verdicts["comparisons"].sum()) if len(verdicts) else 0
    if not total:
        return ""
    counts = {
        reason: int(verdicts[reason.replace(" ", "_")].sum())
        for reason in (*NOT_MADE, "not finite")
    }
    said = {
        "too few seeds": "only count together with others (too few seeds)",
        "infinite variance": "can't be made (infinite variance)",
        "out of range": "can't be made (out of the range of floating-point numbers)",
        "not finite": "are of simulations that are not finite where theory is",
    }
    parts = [f"{counts[reason]:,} {said[reason]}" for reason in counts if counts[reason]]
    disagree = int((verdicts["verdict"] == DISAGREES).sum())
    first = f"Theory: {total:,} comparisons, of which"
    ending = f"{disagree:,} of {len(verdicts):,} verdicts disagree."
    return " ".join([f"{first} {', '.join(parts)};" if parts else f"{first[:-10]};", ending])
