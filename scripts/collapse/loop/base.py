"""The step base: a model that the workflow pretrains once, from which experiments start."""

from __future__ import annotations

import json
import time
from pathlib import Path

from collapse import families
from collapse.artifacts import files, identity
from collapse.artifacts.identity import MadeOf
from collapse.artifacts.paths import BASE
from collapse.artifacts.step import Step
from collapse.families.step_jobs import TrainJob
from collapse.loop import fitting


def pretrain(
    directory: str | Path, step: Step, *, scratch: Path, made_of: MadeOf | None = None
) -> None:
    """Pretrain a base and write it into a folder, which appears whole, with its record.

    An interrupted training continues from the state in the folder ``scratch``.

    Raises
    ------
    TypeError
        If the family has no bases.
    JobError
        If the training fails or is interrupted.
    """
    started = time.perf_counter()
    family = families.load(step.family)
    pretrained = families.load_steps(family).base
    if pretrained is None:
        raise TypeError(f"the family {family.name} has no base to pretrain")
    scratch.mkdir(parents=True, exist_ok=True)
    with files.whole_directory(directory) as partial:
        job = TrainJob(
            step=step,
            parameters=fitting.parameters_of(step),
            data=Path(),
            selections=(),
            fingerprint=json.dumps([step.as_dict(), fitting.version_of(step, "base")]),
            scratch=scratch,
            model=partial,
        )
        details = pretrained(job)
        details |= {"seconds": time.perf_counter() - started, identity.KEY: made_of or {}}
        files.write_text(partial / BASE, json.dumps(details, indent=1) + "\n")
    files.remove_directory(scratch)
