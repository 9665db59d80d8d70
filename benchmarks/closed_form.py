"""Compare chains of the closed-form families with the plain loop of `tests/reference.py`.

Both run the same cells in the same pool of processes, with one BLAS thread each. Processor times
are compared, so that other processes on the machine don't count. The package runs all seeds. The
plain loop runs one seed (of discrete chains, whose lengths are random, a few), and its time is
multiplied by the number of seeds. The published loops are several times slower than the plain one
and are not run; the times that they took are constants here.
"""

from __future__ import annotations

import itertools
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from processes import alone, verdict
from threadpoolctl import threadpool_limits

from collapse.loop.batches import chain_seconds
from collapse.loop.closed_form import run_chain
from collapse.regimes import NAMED
from collapse.study.chain_spec import ChainSpec

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

REGIMES = ("replace", "accumulate", "accumulate-subsample")
SAMPLES = (10, 32, 100, 316, 1000)
#: Seconds that the papers' published code took for one seed on two such cores (stated when the
#: closed-form families were planned; nothing here runs that code), the part of the grid on which
#: it was timed, and how many times faster the package has to be.
PUBLISHED = {
    "gaussian": (65, "the whole grid", 200),
    "linear_regression": (275, "accumulate, d = 100, n = 1000", 1000),
    "kernel_density": (75, "one data set and bandwidth", 300),
}
MEMORY_LIMIT = 2000


class Cell(NamedTuple):
    """A chain of a cell of a grid under a regime."""

    family: str
    regime: str
    samples: int
    iterations: int
    parameters: dict[str, Any]

    def specification(self) -> ChainSpec:
        """Return the specification of the chain."""
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
    """The amount to run: the whole benchmark, or a small part of it."""

    seeds: int
    loop_seeds: int
    iterations: int
    cells: dict[str, list[Cell]]
    sweep: tuple[int, ...]
    largest: dict[str, Cell]


def plan(quick: bool) -> Plan:
    """Return the cells of the benchmark."""
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
        **{
            family: grid(family, (32,) if quick else (100, 316), iterations, dimension=(1, 3))
            for family in ("logistic_regression", "poisson_regression")
        },
    }
    sweep = (4, 8) if quick else (250, 500, 1000)
    wide = {"dimension": dimensions[-1]}
    largest = {
        "gaussian": Cell("gaussian", "accumulate-subsample", most, iterations, wide),
        "linear_regression": Cell(
            "linear_regression", "accumulate-subsample", most, iterations, wide
        ),
        "discrete": Cell("discrete", "replace", 100 if quick else 100_000, 1, {"outcomes": 10}),
        **{
            family: Cell(family, "accumulate-subsample", most, iterations, {"dimension": 3})
            for family in ("logistic_regression", "poisson_regression")
        },
    }
    return Plan(seeds, 4, iterations, cells, sweep, largest)


def ours(cell: Cell, seeds: int) -> float:
    """Run all seeds of a cell as a job of the workflow does; return processor seconds."""
    start = time.process_time()
    with threadpool_limits(1):
        run_chain(cell.specification(), range(seeds))
    return time.process_time() - start


def loop(cell: Cell, seeds: int) -> float:
    """Run seeds of a cell as a plain loop does; return processor seconds."""
    # This is imported here, so that scikit-learn does not count as memory of our jobs.
    from reference import reference_chain, reference_collapse

    # The papers computed densities with scikit-learn.
    family = {"kernel_density": "kernel_density_by_tree"}.get(cell.family, cell.family)
    _, regime, samples, iterations, parameters = cell
    start = time.process_time()
    with threadpool_limits(1):
        for seed in range(seeds):
            generator = np.random.default_rng(seed)
            if family == "discrete":
                reference_collapse(parameters["outcomes"], samples, generator)
            else:
                reference_chain(family, parameters, NAMED[regime], samples, iterations, generator)
    return time.process_time() - start


def timed(
    pool: Executor, side: Callable[[Cell, int], float], cells: list[Cell], seeds: int
) -> dict[str, float]:
    """Return the processor seconds of the cells by regime; the cells run in parallel."""
    # Long chains come first, so that none runs alone at the end.
    cells = sorted(cells, key=lambda cell: -chain_seconds(cell.specification()))
    jobs = {cell_id: pool.submit(side, cell, seeds) for cell_id, cell in enumerate(cells)}
    seconds: dict[str, float] = {}
    for cell_id, job in jobs.items():
        regime = cells[cell_id].regime
        seconds[regime] = seconds.get(regime, 0) + job.result()
    return seconds


def job(cell: list[Any], seeds: int) -> float:
    """Run a job of the workflow, in a process of its own (`processes.alone`)."""
    return ours(Cell(*cell), seeds)


def compare(pool: Executor, family: str, todo: Plan, quick: bool) -> None:
    """Print one row for all chains of a family, and one for those of each regime."""
    cells = todo.cells[family]
    seeds = todo.loop_seeds if family == "discrete" else 1
    plain, mine = timed(pool, loop, cells, seeds), timed(pool, ours, cells, todo.seeds)

    def row(name: str, chains: int, measured: float, own: float) -> None:
        scaled = measured / seeds * todo.seeds
        print(
            f"{name:<24}{chains:>7}{own:>9.2f}{measured:>10.2f}{seeds:>7}{scaled:>10.0f}"
            f"{scaled / own:>9.0f}x  ",
            end="",
        )

    row(family, len(cells), sum(plain.values()), sum(mine.values()))
    print("too small to count" if quick else "")
    for regime in plain if len(plain) > 1 else ():
        chains = sum(cell.regime == regime for cell in cells)
        row(f"  {regime}", chains, plain[regime], mine[regime])
        print(flush=True)


def against_published(pool: Executor, todo: Plan) -> list[bool]:
    """Print the published loops' times and ours; return which requirements are met."""
    print(f"\n{'published loop, scaled':<24}{'loop / s':>10}{'ours / s':>10}{'ratio':>8}")
    met = []
    for family, (seconds, part, required) in PUBLISHED.items():
        cells = todo.cells[family]
        if family == "linear_regression":
            cells = [cell for cell in cells if cell.regime == "accumulate"][-1:]
        start = time.perf_counter()
        timed(pool, ours, cells, todo.seeds)
        taken = time.perf_counter() - start
        ratio = seconds * todo.seeds / taken
        met.append(ratio >= required)
        print(
            f"{family:<24}{seconds * todo.seeds:>10}{taken:>10.2f}{ratio:>7.0f}x"
            f"  {part}; at least {required}: {verdict(met[-1])}",
            flush=True,
        )
    return met


def sweep(todo: Plan) -> float:
    """Print how the time of an accumulating density chain grows with T; return peak memory."""
    parameters = {"dataset": "swiss_roll", "bandwidth": 0.1}
    seeds = min(20, todo.seeds)
    print(f"\nkernel_density, accumulate, {parameters}, {seeds} seeds:")
    print(f"{'iterations':>12} {'seconds':>9} {'per iteration':>15}  MiB")
    memory = 0.0
    for iterations in todo.sweep:
        n = SAMPLES[-1] if len(todo.sweep) > 2 else 10
        cell = Cell("kernel_density", "accumulate", n, iterations, parameters)
        seconds, memory = alone("closed_form", "job", cell, seeds)
        print(f"{iterations:>12} {seconds:>9.2f} {seconds / iterations:>13.4f} s  {memory:.0f}")
    return memory


def report(quick: bool) -> list[bool]:
    """Print the tables; return which requirements are met."""
    todo = plan(quick)
    workers = min(2, os.cpu_count() or 1)
    print(
        f"{platform.machine()}, {workers} processes of one thread, processor seconds; "
        f"{todo.seeds} seeds, {todo.iterations} iterations (discrete: until collapse)\n"
        "linear_regression: noise variance 1 of three, on which the time does not depend; "
        "kernel_density: moons, bandwidth 0.5\n"
    )
    print(
        f"{'':<31}{'ours':>9}{'loop, measured':>17}{'scaled':>10}\n"
        f"{'family, regime':<24}{'chains':>7}{'s':>9}{'s':>10}{'seeds':>7}{'s':>10}{'ratio':>10}"
    )
    with ProcessPoolExecutor(workers) as pool:
        small = Cell("gaussian", "replace", 10, 2, {"dimension": 1})
        for warm_up in (ours, loop):
            timed(pool, warm_up, [small] * workers, 1)
        for family in todo.cells:
            compare(pool, family, todo, quick)
        passed = [] if quick else against_published(pool, todo)
    memory: dict[str, float] = {"kernel_density": sweep(todo)}
    for family, cell in todo.largest.items():
        memory[family] = alone("closed_form", "job", cell, todo.seeds).memory
    print("\npeak memory of the largest job, MiB:")
    for family, peak in memory.items():
        passed.append(peak < MEMORY_LIMIT)
        print(f"  {family:<18} {peak:>6.0f}  below {MEMORY_LIMIT}: {verdict(passed[-1])}")
    return passed
