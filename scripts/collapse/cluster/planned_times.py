"""Checks of a profile's time limits against what the plan says that jobs take on its GPUs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from collapse import families
from collapse.cluster import submissions
from collapse.cluster.findings import Finding
from collapse.loop.plan import cards, jobs
from collapse.loop.plan.estimate import Machine
from collapse.loop.plan.jobs import Job
from collapse.loop.plan.machine import REFERENCE
from collapse.study import Study


def check(settings: Mapping[str, Any], study: Study) -> Iterator[Finding]:
    """Compare the longest job of each rule on GPUs with its time limit.

    Nothing is said if the profile names no ``gpu_model`` of which there are figures.
    """
    asked = str(submissions.resources(settings, "train").get("gpu_model", ""))
    card = cards.find(asked.lower()) if asked.lower() in cards.SHEETS else None
    if card is None:
        return
    machine = Machine(REFERENCE, card)
    longest: dict[str, float] = {}
    for job in jobs.of_study(study).values():
        if job.gpus:
            rule = _rule(study, job)
            longest[rule] = max(longest.get(rule, 0.0), machine.seconds(job).total / 60)
    faults = 0
    for rule, minutes in longest.items():
        allowed = _allowed(settings, rule)
        if allowed and minutes > allowed:
            faults += 1
            found = f"a job of {rule} is planned to take {minutes:.0f} min on {card.name}"
            remedy = f"Set runtime: {math.ceil(1.5 * minutes)} for {rule} in the profile"
            yield Finding("planned times", f"{found}, and its limit is {allowed} min", remedy)
    if longest and not faults:
        found = f"all jobs on {card.name} are planned to end within their time limits"
        yield Finding("planned times", f"{found} ({card.source})")


def _rule(study: Study, job: Job) -> str:
    """Return the rule of a job as the profile names it."""
    rule = job.steps[0].rule
    if rule == "train" and not job.size:
        return "train_unkept"
    family = families.load(study.experiments[job.experiment].family)
    return "evaluate_pictured" if rule == "evaluate" and family.by_steps.pictures else rule


def _allowed(settings: Mapping[str, Any], rule: str) -> int:
    """Return the minutes that a job has: in all its attempts, if each goes on from the last."""
    attempts = range(1, 2 + int(settings.get("retries", 0)))
    limits = [
        int(submissions.resources(settings, rule, attempt).get("runtime", 0))
        for attempt in attempts
    ]
    return sum(limits) if rule.startswith("train") else max(limits)
