"""The plan of a study as text for the terminal."""

from __future__ import annotations

from collections.abc import Mapping

from collapse.loop.plan import estimate, jobs, warnings
from collapse.loop.plan.device import Device
from collapse.loop.plan.estimate import Cost, Machine
from collapse.study import Study


def render(
    study: Study,
    core: Device,
    card: Device | None = None,
    *,
    slots: int | None = None,
    holds: Mapping[str, str] | None = None,
) -> str:
    """Render what a study costs and how long it takes.

    Parameters
    ----------
    study : Study
    core : Device
        A core of this machine.
    card : Device or None
        The GPUs of a cluster; None plans for the cores of this machine.
    slots : int or None
        Number of cores, or of GPUs, to use at once.
    holds : mapping of str to str, or None
        What a job of each experiment by steps holds; see `jobs.of_study`.
    """
    planned = jobs.joined(jobs.of_study(study, holds))
    machine = Machine(core, card)
    costs = estimate.costs(study, planned, machine)
    whole = estimate.total(costs)
    memory = whole.gpu_memory > 0
    lines = _rows({**costs, "total": whole}, card is not None, memory)
    lines += ["", *_how_long(estimate.how_long(planned, machine, slots), card, slots)]
    if card is None:
        lines.append(f"Times are of a core of this machine: {core.source}.")
        if any(job.gpus for job in planned.values()):
            lines.append(
                "With GPUs of a cluster: make plan CARD=h200, or another one (docs/plan.md)."
            )
    else:
        lines.append(f"Times are of {card.name}: {card.source}.")
    lines.append("Start-up is the part of a time in which jobs start, and import libraries.")
    if memory:
        lines.append(
            "GPU memory is what the largest training needs on each GPU; the allocator takes a "
            "tenth more."
        )
    lines += warnings.of_mixtures(study)
    return "\n".join(lines) + "\n"


def _rows(costs: Mapping[str, Cost], has_card: bool, memory: bool) -> list[str]:
    named = {name or "of the study": cost for name, cost in costs.items()}
    width = max(map(len, ("experiment", *named)))
    heads = ["jobs", "core time", *(["GPU-hours"] if has_card else []), "start-up"]
    heads += [*(["GPU memory"] if memory else []), "size"]
    lines = [f"{'experiment':<{width}}" + "".join(f"  {head:>10}" for head in heads)]
    for name, one in named.items():
        cells = [str(one.jobs), _time(one.core)]
        if has_card:
            cells.append(f"{one.gpu / 3600:.2f}" if one.gpu else "-")
        cells.append(_time(one.start))
        if memory:
            cells.append(_size(one.gpu_memory) if one.gpu_memory else "-")
        cells.append(_size(one.bytes))
        lines.append(f"{name:<{width}}" + "".join(f"  {cell:>10}" for cell in cells))
    return lines


def _how_long(found: estimate.HowLong, card: Device | None, slots: int | None) -> list[str]:
    what = "core" if card is None else "GPU"
    each = [
        f"{_time(seconds)} with {count} {what}{'s' if count > 1 else ''}"
        for count, seconds in found.by_slots.items()
    ]
    lines = ["It takes about " + ", ".join(each) + "."]
    lines.append(
        f"The longest row of jobs that wait for each other takes {_time(found.longest)}; no number "
        f"of {what}s shortens it."
    )
    if card is not None:
        lines.append("Waiting in the queue of a cluster is not in it, nor is waiting for cores.")
    return lines


def _time(seconds: float) -> str:
    """Return a time in the unit in which it is read most easily."""
    for unit, length, least in (("d", 86_400, 2), ("h", 3600, 2), ("min", 60, 1.5)):
        if seconds >= least * length:
            count = seconds / length
            return f"{count:.1f} {unit}" if count < 10 else f"{count:.0f} {unit}"
    return f"{seconds:.0f} s"


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
