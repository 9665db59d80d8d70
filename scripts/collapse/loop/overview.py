"""How far a study is: the iterations done of each chain, and the steps under way.

All of it is read from files, so that it can be asked at any time and from any machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from collapse import families
from collapse.artifacts import chain_file
from collapse.artifacts.paths import Branch
from collapse.loop.batches import chain_path
from collapse.loop.branches import Branches
from collapse.progress import clock_time, last_point
from collapse.study import Study
from collapse.study.chain_spec import ChainSpec


class Chain(NamedTuple):
    """The progress of a chain, all its seeds together."""

    name: str
    done: int
    iterations: int
    under_way: list[str]


def overview(study: Study, directory: Path, now: datetime | None = None) -> str:
    """Return a line for each chain of a study, with its progress in a working directory."""
    now = now or datetime.now(UTC)
    lines = []
    for name, experiment in study.experiments.items():
        look = _by_steps if experiment.by_iteration else _closed_form
        chains = list(look(study, name, directory, now))
        done, total = (sum(column) for column in zip(*(one[1:3] for one in chains), strict=True))
        lines.append(f"{name}: {done} of {total} iterations")
        width = max(len(chain.name) for chain in chains)
        digits = len(str(max(chain.iterations for chain in chains)))
        for chain in chains:
            count = f"{chain.done:>{digits}} of {chain.iterations:>{digits}}"
            lines.append(f"  {chain.name:<{width}}  {count}")
            lines += [f"    {step}" for step in chain.under_way]
    return "\n".join(lines)


def _closed_form(study: Study, name: str, directory: Path, now: datetime) -> Iterator[Chain]:
    experiment = study.experiments[name]
    closed_form = families.load(experiment.family).closed_form
    version = closed_form.version if closed_form is not None else 0
    for spec in study.chains(name):
        path = chain_path(spec)
        identity = {**spec.as_dict(), "version": version}
        there = set(chain_file.seeds_of(directory / path, identity))
        done = len(there.intersection(experiment.seed_list))
        log = directory / "logs" / "chain" / Path(path).relative_to("results").with_suffix(".log")
        missing = done < len(experiment.seed_list)
        steps = [f"chain: {said}" for said in _said(log, now)] if missing else []
        total = len(experiment.seed_list) * spec.iterations
        yield Chain(_name(spec), done * spec.iterations, total, steps)


def _by_steps(study: Study, name: str, directory: Path, now: datetime) -> Iterator[Chain]:
    branches = Branches(study, name)
    experiment = branches.experiment
    for spec in study.chains(name):
        done = 0
        under_way: list[str] = []
        for seed in experiment.seed_list:
            branch = branches.branch(spec.point, spec.regime_name, seed)
            for t in range(1, spec.iterations + 1):
                last = branch.metrics(t) if t in experiment.evaluated else branch.training(t)
                if (directory / last).exists():
                    done += 1
                else:
                    under_way += _steps(branch, t, directory, now)
        yield Chain(_name(spec), done, len(experiment.seed_list) * spec.iterations, under_way)


def _steps(branch: Branch, t: int, directory: Path, now: datetime) -> Iterator[str]:
    """Yield what the steps of an iteration say that have begun but not ended."""
    shards = [*branch.shards(t), *branch.evaluated_shards(t)]
    outputs = [
        ("train", branch.training(t), ""),
        *(("generate", one.record, f"-{one.start}-{one.stop}") for one in dict.fromkeys(shards)),
        ("evaluate", branch.metrics(t), ""),
    ]
    for rule, output, part in outputs:
        if (directory / output).exists():
            continue
        folder = Path(output).parent.parent if part else Path(output).parent
        place = folder.relative_to("results")
        log = directory / "logs" / rule / place.with_name(f"{place.name}{part}.log")
        for said in _said(log, now):
            samples = f", samples {part[1:]}" if part else ""
            yield f"{rule} seed {branch.seed}, iteration {t}{samples}: {said}"


def _said(log: Path, now: datetime) -> Iterator[str]:
    """Yield the last point of a job in words, if it has one."""
    point = last_point(log)
    if point is not None:
        ago = (now - datetime.fromisoformat(point["time"])).total_seconds()
        words = [f"{point['what']}, step {point['step']} of {point['of']}"]
        if point.get("train_loss") is not None:
            words.append(f"loss {point['train_loss']:.4g}")
        words.append(f"{clock_time(point['seconds_left'])} left ({clock_time(ago)} ago)")
        yield ", ".join(words)


def _name(spec: ChainSpec) -> str:
    return f"{spec.point}/{spec.regime_name}"
