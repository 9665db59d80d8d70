"""How long jobs take that wait for each other, on some number of cores or GPUs at once."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Task(NamedTuple):
    """A job of a schedule: its seconds, how many slots it takes meanwhile, what it waits for."""

    seconds: float
    slots: int = 1
    needs: Sequence[str] = ()


def duration(tasks: Mapping[str, Task], slots: int) -> float:
    """Return the seconds until all tasks are done, if each starts as soon as it can.

    Tasks that are ready start in the order in which they became ready; one that needs more slots
    than are free is overtaken by those that need fewer. A task that needs more than there are
    takes all of them.

    Parameters
    ----------
    tasks : mapping of str to Task
        Tasks by name, without circles; what is no task is there from the beginning.
    slots : int
        Number of cores or GPUs.

    Raises
    ------
    ValueError
        If tasks wait for each other in a circle.
    """
    missing = {name: sum(need in tasks for need in set(t.needs)) for name, t in tasks.items()}
    waiting = _dependents(tasks)
    # The tasks that are ready, by the slots that they need, in the order in which they became so.
    ready: dict[int, list[tuple[int, str]]] = {}
    order = 0

    def becomes_ready(name: str) -> None:
        nonlocal order
        needed = min(tasks[name].slots, slots)
        heapq.heappush(ready.setdefault(needed, []), (order, name))
        order += 1

    for name, count in missing.items():
        if not count:
            becomes_ready(name)
    running: list[tuple[float, str]] = []
    now, free, done = 0.0, slots, 0
    while done < len(tasks):
        while fitting := [queue for needed, queue in ready.items() if queue and needed <= free]:
            _, name = heapq.heappop(min(fitting))
            free -= min(tasks[name].slots, slots)
            heapq.heappush(running, (now + tasks[name].seconds, name))
        if not running:
            raise ValueError("jobs wait for each other in a circle")
        now, name = heapq.heappop(running)
        free += min(tasks[name].slots, slots)
        done += 1
        for later in waiting.get(name, ()):
            missing[later] -= 1
            if not missing[later]:
                becomes_ready(later)
    return now


def longest_path(tasks: Mapping[str, Task]) -> float:
    """Return the seconds of the longest row of tasks of which each waits for the one before it."""
    return duration(tasks, sum(max(1, task.slots) for task in tasks.values()) or 1)


def _dependents(tasks: Mapping[str, Task]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, task in tasks.items():
        for need in set(task.needs):
            if need in tasks:
                found.setdefault(need, []).append(name)
    return found
