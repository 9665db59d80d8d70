"""Chains of this package beside the plain loop of `tests/reference.py`, in one run.

Both sides run the same cells in the same pool of processes, one BLAS thread each. Ours runs
all seeds; the loop runs one seed (discrete chains: a few, for their lengths are random),
measured, and is scaled by the number of seeds: it does one after another, so its time for
all of them is that many times as long.

    PYTHONPATH=scripts python benchmarks/bench.py            about ten minutes on two cores
    PYTHONPATH=scripts python benchmarks/bench.py --quick    seconds, and no claim
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from collapse.chain import ChainSpec, run_chain
from collapse.regimes import NAMED

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

REGIMES = ("replace", "accumulate", "accumulate-subsample")
SAMPLES = (10, 32, 100, 316, 1000)
#: What must hold (the discrete family has no requirement).
REQUIRED = {"gaussian": 200, "linear_regression": 1000, "kernel_density": 300}
MEMORY_LIMIT = 2000


class Cell(NamedTuple):
    """A chain: a cell of a grid under a regime."""

    family: str
    regime: str
    samples: int
    iterations: int
    parameters: dict[str, Any]

    def specification(self) -> ChainSpec:
        """Return the chain as the workflow knows it."""
        return ChainSpec(
            experiment="bench",
            point=f"{self.parameters},samples={self.samples}",
            regime_name=self.regime,
            regime=NAMED[self.regime],
            family=self.family,
            parameters=self.parameters,
            samples=self.samples,
            iterations=self.iterations,
            evaluated=tuple(range(1, self.iterations + 1)),
        )


class Plan(NamedTuple):
    """How much to run: the whole thing, or next to nothing."""

    seeds: int
    loop_seeds: int
    iterations: int
    cells: dict[str, list[Cell]]
    sweep: tuple[int, ...]
    largest: dict[str, Cell]


def plan(quick: bool) -> Plan:
    """Lay out the cells of the benchmark."""
    samples = (10, 32) if quick else SAMPLES
    dimensions = (1, 10) if quick else (1, 3, 10, 31, 100)
    iterations, seeds = (4, 4) if quick else (100, 100)
    most = samples[-1]

    def grid(family: str, sizes: Iterable[int], length: int, **axes: Any) -> list[Cell]:
        regimes = ("replace",) if family == "discrete" else REGIMES
        return [
            Cell(family, regime, n, length, dict(zip(axes, values, strict=True)))
            for *values, n, regime in itertools.product(*axes.values(), sizes, regimes)
        ]

    cells = {
        "gaussian": grid("gaussian", samples, iterations, dimension=dimensions),
        "linear_regression": grid(
            "linear_regression",
            samples,
            iterations,
            dimension=(1, 10) if quick else (1, 3, 10, 32, 100),
            noise_variance=(1.0,),
        ),
        "kernel_density": grid(
            "kernel_density", samples, iterations, dataset=("moons",), bandwidth=(0.5,)
        ),
        "discrete": grid("discrete", (10, 30) if quick else (10, 100, 1000), 1, outcomes=(2, 10)),
    }
    sweep = (4, 8) if quick else (250, 500, 1000)
    wide = {"dimension": dimensions[-1]}
    largest = {
        "gaussian": Cell("gaussian", "accumulate-subsample", most, iterations, wide),
        "linear_regression": Cell(
            "linear_regression", "accumulate-subsample", most, iterations, wide
        ),
        "discrete": Cell("discrete", "replace", 100 if quick else 100_000, 1, {"outcomes": 10}),
    }
    return Plan(seeds, 4, iterations, cells, sweep, largest)


def ours(cell: Cell, seeds: int) -> None:
    """Run all seeds of a cell as a job of the workflow does."""
    with threadpool_limits(1):
        run_chain(cell.specification(), range(seeds))


def loop(cell: Cell, seed: int) -> None:
    """Run one seed of a cell as a plain loop does."""
    # Imported here: scikit-learn is no part of the memory of our jobs.
    from reference import reference_chain, reference_collapse

    generator = np.random.default_rng(seed)
    # As the papers did it: densities by scikit-learn.
    family = {"kernel_density": "kernel_density_by_tree"}.get(cell.family, cell.family)
    with threadpool_limits(1):
        if family == "discrete":
            reference_collapse(cell.parameters["outcomes"], cell.samples, generator)
            return
        reference_chain(
            family,
            cell.parameters,
            NAMED[cell.regime],
            cell.samples,
            cell.iterations,
            generator,
        )


def timed(pool: Executor, function: Callable[..., None], jobs: list[tuple[Cell, int]]) -> float:
    """Return the seconds that jobs take side by side, the large ones first."""

    def weight(job: tuple[Cell, int]) -> tuple[int, int]:
        cell = job[0]
        return cell.samples * cell.parameters.get("dimension", 1), cell.regime != "replace"

    start = time.perf_counter()
    for future in [pool.submit(function, *job) for job in sorted(jobs, key=weight, reverse=True)]:
        future.result()
    return time.perf_counter() - start


def alone(cell: Cell, seeds: int) -> tuple[float, float]:
    """Return seconds and peak memory in MiB of one job in a process of its own."""
    job = json.dumps([cell, seeds])
    done = subprocess.run(
        [sys.executable, __file__, "--job", job], check=True, capture_output=True, text=True
    )
    seconds, memory = json.loads(done.stdout)
    return seconds, memory


def run_job(job: str) -> None:
    """Run the job that `alone` asks for, and print what it took."""
    cell, seeds = json.loads(job)
    start = time.perf_counter()
    ours(Cell(*cell), seeds)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps([time.perf_counter() - start, memory]))


def verdict(passed: bool) -> str:
    """Say whether a requirement is met."""
    return "met" if passed else "NOT MET"


def compare(pool: Executor, family: str, todo: Plan, quick: bool) -> bool:
    """Print the row of a family; return whether its requirement is met."""
    cells = todo.cells[family]
    seeds = todo.loop_seeds if family == "discrete" else 1
    measured = timed(pool, loop, [(cell, seed) for cell in cells for seed in range(seeds)])
    scaled = measured / seeds * todo.seeds
    mine = timed(pool, ours, [(cell, todo.seeds) for cell in cells])
    ratio, required = scaled / mine, REQUIRED.get(family)
    passed = required is None or quick or ratio >= required
    note = "no requirement" if required is None else f"at least {required}: {verdict(passed)}"
    if quick:
        note = "tiny: says nothing"
    print(
        f"{family:<18} {len(cells):>6} {mine:>9.2f} {measured:>10.2f} {seeds:>5} {scaled:>11.0f} "
        f"{ratio:>8.0f}x  {note}",
        flush=True,
    )
    return passed


def sweep(todo: Plan) -> float:
    """Print how the time of an accumulating density chain grows with T; return peak memory."""
    parameters = {"dataset": "swiss_roll", "bandwidth": 0.1}
    print(f"\nkernel_density, accumulate, {parameters}, {todo.seeds} seeds, one process:")
    print(f"{'iterations':>12} {'seconds':>9} {'per iteration':>15}  MiB")
    for iterations in todo.sweep:
        n = SAMPLES[-1] if len(todo.sweep) > 2 else 10
        cell = Cell("kernel_density", "accumulate", n, iterations, parameters)
        seconds, memory = alone(cell, todo.seeds)
        print(f"{iterations:>12} {seconds:>9.2f} {seconds / iterations:>13.4f} s  {memory:.0f}")
    return memory


def main() -> int:
    """Print the table; return 1 if a requirement is not met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tiny sizes, seconds")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.job:
        run_job(arguments.job)
        return 0
    quick, todo = arguments.quick, plan(arguments.quick)
    workers = min(2, os.cpu_count() or 1)
    print(
        f"{platform.machine()}, {workers} processes of one thread; {todo.seeds} seeds, "
        f"{todo.iterations} iterations (discrete: until collapse), regimes: {', '.join(REGIMES)}\n"
        "linear_regression: noise variance 1 of three, on which the time does not depend; "
        "kernel_density: moons, bandwidth 0.5\n"
    )
    print(
        f"{'family':<18} {'chains':>6} {'ours / s':>9} {'loop / s':>10} {'seeds':>5} "
        f"{'loop, scaled':>11} {'ratio':>8}"
    )
    with ProcessPoolExecutor(workers) as pool:
        small = Cell("gaussian", "replace", 10, 2, {"dimension": 1})
        for warm_up in (ours, loop):
            timed(pool, warm_up, [(small, 1)] * workers)
        passed = [compare(pool, family, todo, quick) for family in todo.cells]
    memory = {"kernel_density": sweep(todo)}
    memory |= {family: alone(cell, todo.seeds)[1] for family, cell in todo.largest.items()}
    print("\npeak memory of the largest job, MiB:")
    for family, peak in memory.items():
        passed.append(peak < MEMORY_LIMIT)
        print(f"  {family:<18} {peak:>6.0f}  below {MEMORY_LIMIT}: {verdict(passed[-1])}")
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
