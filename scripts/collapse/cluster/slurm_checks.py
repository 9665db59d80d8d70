"""Checks of a Snakemake profile against this SLURM cluster."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from collapse.cluster.findings import Finding
from collapse.cluster.slurm import SlurmError, slurm


def queue(settings: Mapping[str, Any], neural: bool) -> Iterator[Finding]:
    """Check a profile against SLURM's partitions and settings; with ``neural``, also its GPUs."""
    try:
        version = slurm("sinfo", "--version").strip()
        rows = slurm("sinfo", "--noheader", "--format=%P|%G|%m").splitlines()
        config = slurm("scontrol", "show", "config")
    except SlurmError as error:
        yield Finding("SLURM", str(error), "Run this on a login node, or load SLURM's module")
        return
    yield Finding("SLURM", f"{version} answers")
    partitions: dict[str, set[str]] = {}
    memory = 0
    for row in rows:
        name, resources, size = row.split("|")
        partitions.setdefault(name, set()).update(resources.split(","))
        memory = max(memory, int(size.rstrip("+")))
    yield from _partitions(settings, partitions)
    yield from _memory(settings, memory)
    yield from _accounts(settings, config)
    yield from _polling(settings, config)
    if neural:
        yield _gpus(settings, partitions)
        yield from _nodes(settings)


def _asked(settings: Mapping[str, Any], resource: str) -> set[str]:
    """Return all values of a resource in a profile: the default, and those of single rules."""
    places = [settings.get("default-resources") or {}]
    places += (settings.get("set-resources") or {}).values()
    return {str(place[resource]).strip("'\"") for place in places if resource in place}


def _partitions(
    settings: Mapping[str, Any], partitions: Mapping[str, set[str]]
) -> Iterator[Finding]:
    known = {name.rstrip("*") for name in partitions}
    asked = _asked(settings, "slurm_partition")
    for name in sorted(asked - known):
        remedy = f"Name one of {', '.join(sorted(known))} as slurm_partition in the profile"
        yield Finding(f"partition {name}", "there is none", remedy)
    for name in sorted(asked & known):
        yield Finding(f"partition {name}", "is there")
    chosen = asked or settings.get("slurm-partition-config")
    if not chosen and not any(name.endswith("*") for name in partitions):
        remedy = f"Name one of {', '.join(sorted(known))} as slurm_partition in the profile"
        yield Finding("partition", "none is named, and the cluster has no default", remedy)
    elif not chosen:
        yield Finding("partition", "none is named; the cluster has a default")


def _memory(settings: Mapping[str, Any], most: int) -> Iterator[Finding]:
    """Find rules that ask for more memory than any node has, which SLURM would refuse."""
    attempts = 1 + int(settings.get("retries", 0))
    for rule, asked in (settings.get("set-resources") or {}).items():
        form = re.fullmatch(r"(\d+)( \* attempt)?", str(asked.get("mem_mb", 0)))
        needed = int(form[1]) * (attempts if form[2] else 1) if form else 0
        if needed > most:
            found = (
                f"asks for {needed} MB at the last of {attempts} attempts, no node has over {most}"
            )
            yield Finding(f"memory of {rule}", found, "Lower mem_mb or retries in the profile")


def _accounts(settings: Mapping[str, Any], config: str) -> Iterator[Finding]:
    asked = _asked(settings, "slurm_account")
    if configured(config, "AccountingStorageType").endswith("none"):
        if asked:
            yield Finding("account", "the cluster keeps no accounts, so none is checked")
        else:
            yield Finding("account", "the cluster keeps no accounts, and the profile names none")
        return
    user, cluster = psutil.Process().username(), configured(config, "ClusterName")
    try:
        listed = slurm(
            *("sacctmgr", "--noheader", "--parsable2", "show", "associations"),
            *(f"user={user}", f"cluster={cluster}", "format=account,partition"),
        )
    except SlurmError as error:
        yield Finding("account", str(error), "Ask the cluster's administrators, or go on without")
        return
    yours: dict[str, set[str]] = {}
    for line in listed.splitlines():
        name, _, partition = line.partition("|")
        yours.setdefault(name, set()).add(partition)
    enforced = "associations" in configured(config, "AccountingStorageEnforce")
    if not asked and not yours and enforced:
        yield Finding("account", f"{user} has none", "Ask the cluster's administrators for one")
    elif not asked:
        yield Finding("account", f"none is named; yours: {', '.join(sorted(yours)) or 'none'}")
    remedy = f"Name one of {', '.join(sorted(yours)) or '(none is yours)'} as slurm_account"
    for name in sorted(asked):
        # An account listed without a partition may be used in all of them.
        barred = _asked(settings, "slurm_partition") - yours.get(name, set())
        if name not in yours:
            yield Finding(f"account {name}", "is not yours", f"{remedy} in the profile")
        elif barred and "" not in yours[name]:
            found = f"is not yours in partition {', '.join(sorted(barred))}"
            yield Finding(f"account {name}", found, f"{remedy} in the profile")
        else:
            yield Finding(f"account {name}", "is yours")


def _polling(settings: Mapping[str, Any], config: str) -> Iterator[Finding]:
    """Check that Snakemake learns that a job has ended before SLURM forgets the job."""
    first = int(settings.get("slurm-init-seconds-before-status-checks", 40))
    age = int(re.sub(r"\D.*", "", configured(config, "MinJobAge")) or 0)
    command = settings.get("slurm-status-command", "sacct")
    accounted = not configured(config, "AccountingStorageType").endswith("none")
    if command == "sacct" and not accounted:
        remedy = "Set slurm-status-command: squeue in the profile, or the run waits for ever"
        yield Finding("status of jobs", "sacct is asked, but the cluster keeps no accounts", remedy)
    elif command == "squeue" and age < 200:
        # Snakemake waits at most 180 s between two looks at the queue.
        remedy = "Set slurm-status-command: sacct in the profile" if accounted else ""
        remedy = remedy or "Ask the administrators for MinJobAge=300"
        found = f"SLURM forgets a job {age} s after its end, and Snakemake looks every 180 s"
        yield Finding("status of jobs", found, remedy)
    else:
        yield Finding("status of jobs", f"{command}, first after {first} s; kept for {age} s")


def configured(config: str, key: str) -> str:
    """Return the value of a key in what ``scontrol show config`` printed, or an empty string."""
    found = re.search(rf"^{key}\s*=\s*(.*)$", config, re.MULTILINE)
    return found[1].strip() if found else ""


def _gpus(settings: Mapping[str, Any], partitions: Mapping[str, set[str]]) -> Finding:
    types = {
        word.split("(")[0].split(":")[1] if word.count(":") > 1 else ""
        for resources in partitions.values()
        for word in resources
        if word.startswith("gpu")
    }
    if not types:
        remedy = "Choose another cluster, or set gpu: 0 for train and generate in the profile"
        return Finding("GPUs", "the study trains neural families, and no partition has any", remedy)
    for asked in sorted(_asked(settings, "gpu_model") - types):
        remedy = f"Name one of {', '.join(sorted(types - {''})) or '(no types)'} as gpu_model"
        return Finding(f"GPU type {asked}", "there is none", f"{remedy} in the profile")
    return Finding("GPUs", ", ".join(sorted(filter(None, types))) or "there are some")


def _nodes(settings: Mapping[str, Any]) -> Iterator[Finding]:
    """Find rules with several nodes that give SLURM the total of GPUs, not the number per node."""
    for rule, asked in (settings.get("set-resources") or {}).items():
        if asked.get("nodes", 1) != 1 and (asked.get("gpu", 1) != 0 or "gres" not in asked):
            found = f"nodes: {asked['nodes']} without the number of GPUs per node"
            yield Finding(rule, found, "Set gpu: 0 and gres: \"'gpu:<number>'\" beside it")


def node(settings: Mapping[str, Any], directory: Path, writes: bool) -> Iterator[Finding]:
    """Check that a compute node sees the directory, this Python and, if it ``writes``, vLLM."""
    place = [f"--partition={name}" for name in sorted(_asked(settings, "slurm_partition"))[:1]]
    place += [f"--account={name}" for name in sorted(_asked(settings, "slurm_account"))[:1]]
    asks = [
        ("test -d", str(directory), "working directory", "Put it on a file system of all nodes"),
        ("test -x", sys.executable, "Python", "Put .venv on a file system of all nodes"),
    ]
    if writes:
        remedy = "Install envs/locks/gpu.txt, or text is generated by transformers"
        asks.append((f"{sys.executable} -c", "import vllm", "vLLM", remedy))
    for command, operand, subject, remedy in asks:
        line = [*command.split(), operand]
        try:
            slurm("srun", "--nodes=1", "--ntasks=1", "--mem=4G", "--time=5", *place, *line)
        except SlurmError as error:
            yield Finding(f"{subject} on a node", str(error), remedy)
        else:
            yield Finding(f"{subject} on a node", f"{operand} works")
