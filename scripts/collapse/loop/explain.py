"""Why each job of a run would run, in words.

Snakemake's ``--summary`` lists which outputs it would make; why is said here, by comparing what an
output's record says that it is made of with what the study would make it of.
"""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

from collapse.artifacts import chain_file, identity
from collapse.artifacts.identity import MadeOf
from collapse.artifacts.paths import BASE, SCORED
from collapse.errors import JobError
from collapse.loop.batches import chain_path, missing_seeds
from collapse.loop.chain_inputs import ChainInputs
from collapse.loop.inputs import Inputs
from collapse.loop.step_inputs import StepInputs
from collapse.study.chain_spec import ChainSpec

#: The paths of what steps and chains write, without the name of a file.
_STEP = re.compile(
    r"results/(?P<experiment>[^/]+)/(?P<point>[^/]+)/(?P<regime>[^/]+)"
    r"/seed(?P<seed>\d+)/iter(?P<iteration>\d+)/"
    rf"(?:synthetic(?P<kind>|{SCORED})/(?P<start>\d+)-(?P<stop>\d+))?"
)
_BATCH = re.compile(
    r"results/(?P<experiment>[^/]+)/(?P<point>[^/]+)/(?P<batch>chains|[^/]+/chain)(?:-\d+)?\.json$"
)
_BASE = re.compile(r"results/bases/(?P<base>[0-9a-f]+)$")
_DATA = re.compile(r"results/(?P<experiment>[^/]+)/data/(?P<point>[^/]+)$")

#: The name of the record that says what a step's outputs are made of; a shard's has its own name.
_RECORDS = {
    "assemble": "training_set.json",
    "train": "training.json",
    "evaluate": "evaluation.json",
}

#: Why an output is made of which nothing exists.
NEW = "not made yet"


def pending(snakefile: Path, study: str) -> str:
    """Return Snakemake's summary of a study's outputs in the working directory, as a table.

    Raises
    ------
    JobError
        If Snakemake fails; its last line is the message.
    """
    command = [
        *(sys.executable, "-m", "snakemake", "--summary", "--snakefile", str(snakefile)),
        *("--config", f"study={study}", "--rerun-triggers", "params"),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise JobError((done.stderr.strip() or "snakemake failed").splitlines()[-1])
    return done.stdout


def explain(summary: str, inputs: Inputs, steps: StepInputs) -> str:
    """Say for each job that would run why.

    Parameters
    ----------
    summary : str
        The table of `pending`.
    inputs, steps : Inputs, StepInputs
        What the rules ask for.

    Returns
    -------
    str
        A line for each job; jobs whose outputs don't exist yet are counted by rule.
    """
    new: Counter[str] = Counter()
    lines = []
    seen = set()
    for rule, output, status in _rows(summary):
        why = _reason(rule, output, status, inputs, steps)
        job = (rule, _job_of(output))
        if job in seen:
            continue
        seen.add(job)
        if why == NEW:
            new[rule] += 1
        else:
            lines.append(f"{rule}: {output}: {why}")
    counted = [f"{rule}: {count} {NEW}" for rule, count in new.items()]
    return "\n".join([*lines, *counted]) or "Nothing would run: everything is up to date."


def _rows(summary: str) -> Iterator[tuple[str, str, str]]:
    """Yield the rule, path and state of each output that would be made."""
    for row in csv.DictReader(summary.splitlines(), delimiter="\t"):
        if row["plan"] == "update pending":
            rule = row["rule"].removesuffix("_unkept").removesuffix("_pictured")
            yield rule, row["output_file"], row["status"]


def _job_of(output: str) -> str:
    """Return what the outputs of a job have in common: a shard's name, a folder, or themselves."""
    if "/synthetic" in output:
        return output.rpartition(".")[0]
    return output if output.endswith(".nc") else str(Path(output).parent)


def _reason(rule: str, output: str, status: str, inputs: Inputs, steps: StepInputs) -> str:
    if rule == "chains":
        return _of_batch(output, inputs)
    if rule in ("iteration", "whole_chain"):
        return _of_block(output, inputs, steps)
    record, place = _record_of(rule, output)
    if record is None:
        return NEW if status == "missing" else "what it shows is made anew, or the study changed"
    changed = _changed(record, steps.made_of(rule)(place))
    if changed:
        return changed
    if status == "removed temp file" or not Path(output).exists():
        return "it is not there any more, and a job that would run needs it"
    return "it is incomplete, or made in one job with what is needed"


def _changed(record: str, made_of: MadeOf) -> str:
    """Say in what an artifact differs from what the study would make; empty if in nothing."""
    found = identity.recorded(record)
    if found is None:
        return NEW if not Path(record).exists() else "made by a version that noted no identities"
    return "; ".join(identity.differences(found, made_of))


def _of_block(output: str, inputs: Inputs, steps: StepInputs) -> str:
    """Say which steps of a job would run, and why the first of them would."""
    found = _STEP.match(output)
    if found is None:
        return NEW
    place = SimpleNamespace(**found.groupdict())
    blocks = inputs.blocks[place.experiment]
    branch, last = steps.branch_of(place), int(place.iteration)
    undone = blocks.undone(branch, last)
    if not undone:
        return "all of its steps are done, and only its record is to be written"
    first = undone[0]
    lost = [path for path in blocks.files.outputs(first).values() if not Path(path).exists()]
    gone = f"{lost[0]} is not there any more" if lost else "it is to be made again"
    why = _changed(first.record, blocks.files.made_of(first)) or gone
    if why == NEW and len(undone) == len(blocks.steps(branch, last)):
        return NEW
    return f"{len(undone)} steps, first {first.rule} of iteration {first.t}: {why}"


def _of_batch(output: str, inputs: Inputs) -> str:
    """Say which chains of a job would run, and why the first of them would."""
    place = _BATCH.match(output)
    if place is None:
        return NEW
    specs = ChainInputs(inputs).batch(SimpleNamespace(**place.groupdict()))
    whys = {spec.regime_name: why for spec in specs if (why := _of_chain(spec, inputs))}
    if not whys:
        return "all of its chains are done, and only its record is to be written"
    first, why = next(iter(whys.items()))
    if why == NEW and len(whys) == len(specs):
        return NEW
    return f"{len(whys)} chains, first {first}: {why}"


def _of_chain(spec: ChainSpec, inputs: Inputs) -> str:
    """Say why a chain would run; nothing if it is done."""
    path = chain_path(spec)
    if not Path(path).exists():
        return NEW
    expected = {**spec.as_dict(), "version": inputs.version_of(spec)}
    try:
        found = chain_file.identity_of(path)
    except JobError as error:
        return str(error)
    if not chain_file.is_of(found, expected):
        return "; ".join(chain_file.differences(found, expected))
    missing = missing_seeds(spec, inputs.version_of(spec), inputs.seeds_of(spec))
    return f"new seeds {', '.join(map(str, missing))}" if missing else ""


def _record_of(rule: str, output: str) -> tuple[str | None, SimpleNamespace]:
    """Return the record that describes an output, if any, and the wildcards of its job."""
    base = _BASE.match(output)
    if rule == "base" and base is not None:
        return f"{output}/{BASE}", SimpleNamespace(**base.groupdict())
    data = _DATA.match(output)
    if rule == "prepare" and data is not None:
        return f"{output}/dataset.json", SimpleNamespace(**data.groupdict())
    step = _STEP.match(output)
    if step is None:
        return None, SimpleNamespace()
    place = SimpleNamespace(**step.groupdict())
    if rule == "generate":
        return f"{output.rpartition('.')[0]}.json", place
    folder = step[0]
    return (f"{folder}{_RECORDS[rule]}" if rule in _RECORDS else None), place
