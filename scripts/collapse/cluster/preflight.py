"""Checks of a cluster before anything is submitted, each with one line of findings."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from collapse import families
from collapse.cluster import limit_checks, planned_times, slurm_checks
from collapse.cluster.configuration import configuration
from collapse.cluster.driver import MINUTES
from collapse.cluster.findings import Finding, report
from collapse.families.contract import Iterative
from collapse.families.declarations import Parameters
from collapse.loop import run
from collapse.loop.plan import jobs
from collapse.study import Study, load, yaml_file
from collapse.study.errors import StudyError

PROJECT = Path(__file__).resolve().parents[3]


def read_profile(path: str | Path) -> dict[str, Any]:
    """Read a Snakemake profile."""
    return dict(yaml.safe_load(Path(path, "config.yaml").read_text(encoding="utf-8")) or {})


def study_of(arguments: Sequence[str], directory: Path, profile: str | Path) -> Study:
    """Return the study that Snakemake would run with these arguments."""
    return load(study_file(arguments, directory, profile))


def study_file(arguments: Sequence[str], directory: Path, profile: str | Path) -> Path:
    """Return the file of the study that Snakemake would run with these arguments."""
    default = PROJECT / "config" / "config.yaml"
    found = configuration(arguments, default=default, directory=directory, profile=profile)
    return yaml_file.find(found, [directory, PROJECT])


def examine(
    profile: str | Path,
    directory: Path,
    arguments: Sequence[str] = (),
    on_node: bool = False,
    driver: tuple[int, str] = (MINUTES, ""),
) -> Iterator[Finding]:
    """Check everything that a run needs, and yield what is found.

    Parameters
    ----------
    profile : path
        The folder of Snakemake's profile.
    directory : Path
        The working directory of the run.
    arguments : sequence of str
        Snakemake's arguments, of which those that configure the workflow are read.
    on_node : bool
        Whether to submit small jobs that check what a compute node can read.
    driver : tuple of int and str
        The time limit of the driver's job in minutes, 0 if it is no job, and its partition, if one
        is named.
    """
    settings = read_profile(profile)
    try:
        study = study_of(arguments, directory, profile)
    except StudyError as error:
        yield Finding("study", str(error), "Correct the study")
        return
    yield from _paths(directory, settings.get("executor") == "slurm")
    families_used = {experiment.family for experiment in study.experiments.values()}
    neural = any(families.load(name).wants_gpu for name in families_used)
    points = list(_points(study))
    may_use_vllm = any(family.may_use_vllm(parameters) for family, parameters in points)
    if settings.get("executor") == "slurm":
        yield from slurm_checks.queue(settings, neural)
        yield from limit_checks.check(settings, study, directory, driver)
        yield from planned_times.check(settings, study)
        if on_node:
            yield from slurm_checks.node(settings, directory, may_use_vllm)
    yield _space(study, directory)
    if may_use_vllm:
        yield _vllm()
    for name in sorted({name for family, each in points for name in family.hub_datasets(each)}):
        yield _cached(f"data set {name}", *_DATA_SET, name)
    for name in sorted({name for family, each in points for name in family.hub_models(each)}):
        yield _cached(f"model {name}", *_MODEL, name)


def _paths(directory: Path, submits: bool) -> Iterator[Finding]:
    """Find folders whose names Snakemake or SLURM would read as something else."""
    mistake = run.path_mistake(PROJECT)
    if mistake is not None:
        yield Finding("path", mistake, "Move or rename it")
    for place in dict.fromkeys((directory, PROJECT)) if submits else ():
        odd = sorted(set(str(place)) & set("$`\\%{}"))
        if odd:
            found = f"{place} has {' '.join(odd)}, which sbatch would not take as it is"
            yield Finding("path", found, "Move or rename it, or use --directory elsewhere")


def _space(study: Study, directory: Path) -> Finding:
    needed = jobs.size(study)
    place = next(path for path in (directory, *directory.parents) if path.exists())
    free = shutil.disk_usage(place).free
    found = f"{free / 1e9:.1f} GB free in {place}, {needed / 1e9:.1f} GB planned"
    if needed < free:
        return Finding("disk", found)
    return Finding("disk", found, "Use --directory elsewhere, or keep_models: last in the study")


def _vllm() -> Finding:
    if importlib.util.find_spec("vllm"):
        return Finding("vLLM", "is installed")
    remedy = "Install envs/locks/gpu.txt on GPU machines; without it transformers generates text"
    return Finding("vLLM", "is not installed", remedy)


def _points(study: Study) -> Iterator[tuple[Iterative[Parameters], Parameters]]:
    """Yield, for each point whose family runs by steps, how it does, and the parameters."""
    for name, experiment in study.experiments.items():
        family = families.load(experiment.family)
        if family.iterative is not None:
            for point in study.cells[name].values():
                yield family.iterative, family.parameters(**point.parameters)


#: Python code that fails offline unless a data set or model is in the cache, and that fetches it.
_DATA_SET = (
    "import datasets; datasets.load_dataset_builder({})",
    "import datasets; datasets.load_dataset({})",
)
_MODEL = (
    "import huggingface_hub; huggingface_hub.snapshot_download({})",
    "import huggingface_hub; huggingface_hub.snapshot_download({})",
)


def _cached(subject: str, look: str, fetch: str, name: str) -> Finding:
    """Check that a data set or model can be read without a network, as on most compute nodes."""
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    command = [sys.executable, "-c", look.format(json.dumps(name))]
    if subprocess.run(command, env=offline, capture_output=True).returncode == 0:
        return Finding(subject, "is in the offline cache")
    once = shlex.join([sys.executable, "-c", fetch.format(json.dumps(name))])
    remedy = f"Run once, where there is a network: {once}"
    return Finding(subject, "is not in the offline cache", remedy)


def main(words: Sequence[str] | None = None) -> int:
    """Print all findings, and return the exit status: 1 if there is a fault, else 0."""
    parser = argparse.ArgumentParser(
        prog="make doctor",
        description="Check a cluster before a run",
        epilog="Other arguments are for Snakemake, such as --config study=PATH.",
        allow_abbrev=False,
    )
    parser.add_argument("--profile", default=str(PROJECT / "profiles" / "slurm"))
    parser.add_argument("--directory", type=Path, default=Path())
    parser.add_argument("--node", action="store_true", help="also submit small jobs")
    chosen, arguments = parser.parse_known_args(words)
    found = examine(chosen.profile, chosen.directory.resolve(), arguments, chosen.node)
    return 1 if report(found) else 0


if __name__ == "__main__":
    sys.exit(main())
