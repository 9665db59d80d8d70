"""Checks of the submissions of a study against the limits of SLURM and of Snakemake's executor."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
from snakemake_executor_plugin_slurm.utils import set_gres_string
from snakemake_executor_plugin_slurm.validation import validate_slurm_extra
from snakemake_interface_common.exceptions import WorkflowError

from collapse.cluster import slurm_checks, submissions
from collapse.cluster.findings import Finding
from collapse.cluster.slurm import JOB_LOGS, SlurmError, slurm
from collapse.cluster.submissions import Submission
from collapse.study import Study

#: The largest number of characters in a file's name, on all common file systems.
NAME_LENGTH = 255


def check(
    settings: Mapping[str, Any], study: Study, directory: Path, driver: tuple[int, str]
) -> Iterator[Finding]:
    """Check that the submissions of a study, and the driver, can be made and can start.

    ``driver`` is the time limit of the driver's job in minutes, 0 if it is no job, and its
    partition.
    """
    try:
        wanted = submissions.all_of(settings, study)
        faults = list(_refused(settings, wanted))
    except WorkflowError as error:
        why = " ".join(str(error).split())
        yield Finding("resources", why, "Correct default-resources or set-resources in the profile")
        return
    yield from faults or [Finding("resources", "Snakemake's executor accepts them")]
    yield _grouped(settings)
    yield _names(wanted)
    yield _logs(settings, directory)
    try:
        limits = _limits()
        config = slurm("scontrol", "show", "config")
    except SlurmError:
        return  # that SLURM does not answer is a finding already
    yield from _times(settings, wanted, limits)
    yield from _driver(limits, *driver)
    yield from _counts(settings, config)


def _refused(settings: Mapping[str, Any], wanted: list[Submission]) -> Iterator[Finding]:
    """Find resources that Snakemake's executor refuses, with its own checks."""
    told = set()
    for rule in sorted({rule for submission in wanted for rule in submission.rules}):
        asked = submissions.resources(settings, rule)
        job = SimpleNamespace(resources=_Resources(asked))
        for validate, remedy in (
            (set_gres_string, "Write gpu: 0 and, in slurm_extra, --gpus-per-node=TYPE:NUMBER"),
            (validate_slurm_extra, "Use the resource of that name, for example slurm_account"),
        ):
            try:
                validate(job)
            except WorkflowError as error:
                why = " ".join(str(error).split())
                if why not in told:
                    told.add(why)
                    yield Finding(
                        f"resources of {rule}",
                        why.removesuffix("."),
                        f"{remedy}; see docs/slurm.md",
                    )

    for submission in wanted:
        yield from _differing(settings, submission)


def _differing(settings: Mapping[str, Any], submission: Submission) -> Iterator[Finding]:
    """Find texts that differ among the jobs of a submission, of which Snakemake can make no sum."""
    texts: dict[str, dict[str, str]] = {}
    for rule in submission.rules:
        for name, value in submissions.resources(settings, rule).items():
            if isinstance(value, str):
                texts.setdefault(name, {})[rule] = value
    for name, values in texts.items():
        if len(set(values.values())) > 1:
            each = ", ".join(f"{rule} {value}" for rule, value in values.items())
            found = f"its rules have different values of {name}: {each}"
            yield Finding(str(submission), found, f"Set the same {name} for all rules of the group")


class _Resources(dict[str, Any]):
    """The resources of a job, as the executor reads them."""

    def __getattr__(self, name: str) -> Any:
        return self.get(name)


def _grouped(settings: Mapping[str, Any]) -> Finding:
    """Check that a failure deletes no checkpoint or shard of another step."""
    grouped = [str(line).partition("=")[0] for line in settings.get("groups") or []]
    steps = [rule for rule in grouped if rule in ("train", "train_unkept", "generate")]
    if not steps:
        return Finding("groups", "no training and no shard shares a submission with other jobs")
    found = f"{', '.join(steps)} in a group, of which Snakemake deletes all outputs if a job fails"
    remedy = "Take it out of groups; a job of several steps is what job_holds in the study is for"
    return Finding("groups", found, remedy)


def _names(wanted: list[Submission]) -> Finding:
    longest = max((submission.folder for submission in wanted), key=len, default="")
    length = len(longest.encode())
    if length <= NAME_LENGTH:
        return Finding("names", f"the longest of a log's folder has {length} characters")
    found = f"a log's folder would have a name of {length} characters, {longest[:60]}..."
    remedy = f"Shorten the experiment's or the regime's name, to {NAME_LENGTH} in all"
    return Finding("names", found, remedy)


def _logs(settings: Mapping[str, Any], directory: Path) -> Finding:
    folder = directory / settings.get("slurm-logdir", JOB_LOGS)
    place = next(path for path in (folder, *folder.parents) if path.exists())
    if place.is_dir() and os.access(place, os.W_OK | os.X_OK):
        return Finding("logs of jobs", f"{folder} can be written")
    remedy = "Make it writable, or choose another --directory or slurm-logdir"
    return Finding("logs of jobs", f"{place} can't be written", remedy)


def _limits() -> dict[str, float]:
    """Return the time limits of all partitions in minutes; the default one has a star."""
    rows = (row.split("|") for row in slurm("sinfo", "--noheader", "--format=%P|%l").splitlines())
    return {name: _minutes(limit) for name, limit in rows}


def _minutes(limit: str) -> float:
    """Return a time limit as sinfo prints it, [days-]hours:minutes:seconds, in minutes."""
    if not re.fullmatch(r"[\d:-]+", limit):
        return float("inf")
    days, _, rest = limit.rpartition("-")
    hours, minutes, seconds = ([0, 0, 0] + [int(part) for part in rest.split(":")])[-3:]
    return int(days or 0) * 1440 + hours * 60 + minutes + seconds / 60


def _limit(asked: Mapping[str, Any], limits: Mapping[str, float]) -> tuple[str, float]:
    """Return the partition that a job may use with the longest limit, and that limit."""
    known = {name.rstrip("*"): limit for name, limit in limits.items()}
    names = str(asked.get("slurm_partition", "")).split(",")
    candidates = {name: known[name] for name in names if name in known}
    default = {name[:-1]: limit for name, limit in limits.items() if name.endswith("*")}
    candidates = candidates or default or known
    return max(candidates.items(), key=lambda item: item[1], default=("", float("inf")))


def _times(
    settings: Mapping[str, Any], wanted: list[Submission], limits: Mapping[str, float]
) -> Iterator[Finding]:
    """Compare what submissions ask for at their last attempt with the limits of partitions."""
    attempts = 1 + int(settings.get("retries", 0))
    # The executor chooses among the partitions of such a file.
    any_partition = {name.rstrip("*"): limit for name, limit in limits.items()}
    chooses = bool(settings.get("slurm-partition-config"))
    faults = 0
    for submission in wanted:
        rule = max(submission.rules, key=lambda rule: submission.share(settings, rule, attempts))
        asked = submissions.resources(settings, rule)
        name, limit = _limit({}, any_partition) if chooses else _limit(asked, limits)
        first, last = (submission.minutes(settings, attempt) for attempt in (1, attempts))
        if last > limit:
            faults += 1
            found = (
                f"asks for {first} min, at attempt {attempts} for {last}, "
                f"and the limit of partition {name} is {limit:g}"
            )
            remedy = _shorter(settings, submission, rule, attempts, limit)
            yield Finding(str(submission), found, remedy)
    if not faults:
        found = f"no submission asks for more than its partition allows in {attempts} attempts"
        yield Finding("time limits", found)


def _shorter(
    settings: Mapping[str, Any], submission: Submission, rule: str, attempts: int, limit: float
) -> str:
    """Say which runtime of the rule that takes most keeps a submission within a limit."""
    others = submission.minutes(settings, attempts) - submission.share(settings, rule, attempts)
    room = int((limit - others) / submission.rules[rule])
    remedies = ["name a longer partition as slurm_partition"]
    if submission.name:
        remedies.insert(0, f"leave {rule} out of groups")
    if room >= 1:
        base = max(1, room // attempts)
        runtime = f"min({room}, {base} * attempt)" if base < room else str(room)
        remedies.insert(0, f"set runtime: {runtime} for {rule}")
    elif each := int(limit / attempts / sum(submission.rules.values())):
        remedies.insert(0, f"set runtime: {each} * attempt for each of its rules")
    return f"In the profile {', or '.join(remedies)}"


def _driver(limits: Mapping[str, float], minutes: int, partition: str) -> Iterator[Finding]:
    name, limit = _limit({"slurm_partition": partition}, limits)
    if minutes > limit:
        found = f"asks for {minutes} min, and the limit of partition {name} is {limit:g}"
        remedy = f"Give launch.py --minutes {limit:.0f}, after which it queues again by itself"
        yield Finding("driver", found, f"{remedy}, or --partition")


def _counts(settings: Mapping[str, Any], config: str) -> Iterator[Finding]:
    """Compare the number of jobs in the queue with the limits of the cluster and of the user."""
    most = int(settings.get("jobs", 1))
    allowed = {"MaxJobCount of SLURM": slurm_checks.configured(config, "MaxJobCount")}
    if not slurm_checks.configured(config, "AccountingStorageType").endswith("none"):
        user, cluster = psutil.Process().username(), slurm_checks.configured(config, "ClusterName")
        try:
            listed = slurm(
                *("sacctmgr", "--noheader", "--parsable2", "show", "associations"),
                *(f"user={user}", f"cluster={cluster}", "format=account,maxsubmitjobs"),
            )
        except SlurmError:
            listed = ""  # a finding about accounts says so already
        for line in listed.splitlines():
            account, _, limit = line.partition("|")
            allowed[f"the submit limit of account {account}"] = limit
    for name, limit in allowed.items():
        if limit.isdigit() and most + 1 > int(limit):
            found = f"{most} and the driver exceed {name}, {limit}"
            yield Finding(
                "jobs in the queue", found, f"Set jobs: {max(1, int(limit) - 1)} in the profile"
            )
    array = slurm_checks.configured(config, "MaxArraySize")
    if array.isdigit() and int(array) < 3:
        found = f"MaxArraySize is {array}, and Snakemake's executor does not start below 3"
        yield Finding("job arrays", found, "Ask the cluster's administrators for MaxArraySize=1001")
