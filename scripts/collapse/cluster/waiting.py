"""How long chains wait: the share of their wall time that is spent outside their steps.

Every step writes a benchmark file when it ends (`collapse.job`). The file's modification time is
the end of the step, and its content is the duration.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from collapse.artifacts.paths import Branch
from collapse.loop.branches import Branches
from collapse.study import Study, load

RESULTS, LOGS = "results", "logs"


class Waiting(NamedTuple):
    """Seconds from the start of the first step to the end of the last, and seconds in steps."""

    wall: float
    inside: float
    steps: int

    @property
    def share(self) -> float:
        """The share of the wall time that is spent outside the steps."""
        return 1 - self.inside / self.wall if self.wall else 0.0


def of_chains(directory: Path, branches: Iterable[Branch], iterations: int) -> Waiting:
    """Return the waiting of chains together, where time in which any chain runs is no waiting."""
    return _covered(
        _interval(path)
        for branch in branches
        for path in _benchmarks(directory, branch, iterations)
    )


def of_experiment(directory: Path, study: Study, experiment: str) -> Waiting:
    """Return the sum of the waiting of all seeds of an experiment that runs by steps.

    The chains of a seed may share a submission, in which one runs after the other; while one of
    them runs, the others do not wait for the cluster.
    """
    branches = Branches(study, experiment)
    iterations = branches.experiment.iterations
    seeds = branches.experiment.seed_list
    found = [of_chains(directory, branches.all([seed]), iterations) for seed in seeds]
    return Waiting(*(sum(column) for column in zip(*found, strict=True)))


def render(directory: Path, study: Study) -> str:
    """Render the waiting of a study's chains, one line for each experiment that runs by steps."""
    lines = []
    for name, experiment in study.experiments.items():
        if not experiment.by_iteration:
            continue
        waiting = of_experiment(directory, study, name)
        if waiting.steps:
            lines.append(
                f"{name}: seeds spent {waiting.share:.0%} of their wall time outside their steps "
                f"({waiting.wall - waiting.inside:.0f} of {waiting.wall:.0f} s, "
                f"{(waiting.wall - waiting.inside) / waiting.steps:.1f} s per step)"
            )
    return "\n".join(lines)


def _benchmarks(directory: Path, branch: Branch, iterations: int) -> Iterator[Path]:
    """Yield the benchmark files of those steps of a chain that have run."""
    for t in range(1, iterations + 1):
        shards = {*branch.shards(t), *branch.evaluated_shards(t)}
        outputs = [
            ("assemble", branch.training_set(t), ""),
            ("train", branch.model(t), ""),
            ("evaluate", branch.metrics(t), ""),
            *(
                ("generate", str(Path(one.path).parent), f"{one.kind}-{one.start}-{one.stop}")
                for one in shards
            ),
        ]
        for step, output, suffix in outputs:
            place = Path(output).parent.relative_to(RESULTS)
            path = directory / LOGS / step / f"{place}{suffix}.benchmark.tsv"
            if path.exists():
                yield path


def _interval(path: Path) -> tuple[float, float]:
    """Return the start and the end of a step, in seconds since the epoch."""
    with path.open(encoding="utf-8") as lines:
        seconds = float(next(csv.DictReader(lines, delimiter="\t"))["s"])
    ended = path.stat().st_mtime
    return ended - seconds, ended


def _covered(intervals: Iterable[tuple[float, float]]) -> Waiting:
    """Measure the union of intervals."""
    ordered = sorted(intervals)
    if not ordered:
        return Waiting(0.0, 0.0, 0)
    inside, reached = 0.0, ordered[0][0]
    for begin, end in ordered:
        inside += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return Waiting(reached - ordered[0][0], inside, len(ordered))


def main(words: Sequence[str] | None = None) -> None:
    """Print the waiting of the chains of a study in a working directory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("--directory", type=Path, default=Path())
    chosen = parser.parse_args(words)
    print(render(chosen.directory, load(chosen.study)))


if __name__ == "__main__":
    main()
