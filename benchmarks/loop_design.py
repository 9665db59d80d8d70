"""Compare chains with weights with chains without, and selection of several candidates with one."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from processes import verdict
from threadpoolctl import threadpool_limits

from collapse import families
from collapse.loop.closed_form import run_chain
from collapse.regimes import Regime
from collapse.study.chain_spec import ChainSpec

#: A chain with weights may take this many times what one without takes.
MOST = 1.2
CANDIDATES = 8
REGIMES: dict[str, dict[str, Any]] = {
    "accumulate": {"keep_real": True},
    "budget": {"keep_real": True, "budget": "n"},
    "fresh real data": {"keep_real": 0, "memory": 1, "fresh_real": "n"},
}
#: Of each family, parameters, the number of samples, and a score.
CELLS: dict[str, tuple[list[dict[str, Any]], int, str]] = {
    "gaussian": ([{"dimension": d} for d in (1, 10, 100)], 316, "distance"),
    "linear_regression": ([{"dimension": 10}], 316, "residual"),
    "kernel_density": ([{"bandwidth": 0.5}], 316, "distance"),
    "discrete": ([{"outcomes": 100}], 1000, "reward"),
    "logistic_regression": ([{"dimension": 3}], 316, "correct"),
}


class Size(NamedTuple):
    """How much to run: iterations, seeds, and how often each side."""

    iterations: int
    seeds: int
    times: int


def seconds(family: str, parameters: dict[str, Any], regime: Regime, n: int, size: Size) -> float:
    """Return the processor seconds of a chain of several seeds."""
    spec = ChainSpec(
        experiment="bench",
        point="p",
        regime_name="r",
        regime=regime,
        family=family,
        parameters=families.load(family).parameters(**parameters).model_dump(),
        samples=n,
        iterations=size.iterations,
        evaluated=(1, size.iterations),
    )
    start = time.process_time()
    with threadpool_limits(1):
        run_chain(spec, range(size.seeds))
    return time.process_time() - start


def side_by_side(family: str, one: Regime, other: Regime, size: Size) -> tuple[float, float]:
    """Return the least processor seconds of both regimes over all cells, in turns."""
    parameters, n, _ = CELLS[family]
    if size.seeds < 10:
        n = 20
    least = [0.0, 0.0]
    for each in parameters:
        found = [
            [seconds(family, each, regime, n, size) for regime in (one, other)]
            for _ in range(size.times)
        ]
        least = [
            sum_ + min(side) for sum_, side in zip(least, zip(*found, strict=True), strict=True)
        ]
    return least[0], least[1]


def report(quick: bool) -> list[bool]:
    """Print the tables; return which requirements are met."""
    size = Size(3, 2, 1) if quick else Size(50, 50, 5)
    met = []
    print("\nweights (real data has half of the weight), processor seconds:")
    print(f"{'family, regime':<40}{'without':>9}{'with':>9}{'ratio':>8}")
    for family in CELLS:
        for name, fields in REGIMES.items():
            weighed = Regime(**fields, weigh={"real": 0.5})
            without, weighted = side_by_side(family, Regime(**fields), weighed, size)
            ratio = weighted / without
            if not quick:
                met.append(ratio <= MOST)
            said = "too small to count" if quick else f"at most {MOST}: {verdict(met[-1])}"
            place = f"{family}, {name}"
            print(f"{place:<40}{without:>9.3f}{weighted:>9.3f}{ratio:>8.2f}  {said}", flush=True)
    print(f"\nselection of the best of {CANDIDATES} candidates, under replace:")
    print(f"{'family':<40}{'of one':>9}{'of ' + str(CANDIDATES):>9}{'ratio':>8}")
    for family, (_, _, score) in CELLS.items():
        one, several = (
            Regime(keep_real=0, memory=1, select={"score": score, "candidates": candidates})
            for candidates in (1, CANDIDATES)
        )
        first, second = side_by_side(family, one, several, size)
        ratio = second / first
        if not quick:
            met.append(ratio <= CANDIDATES)
        said = "too small to count" if quick else f"at most {CANDIDATES}: {verdict(met[-1])}"
        print(f"{family:<40}{first:>9.3f}{second:>9.3f}{ratio:>8.2f}  {said}", flush=True)
    return met
