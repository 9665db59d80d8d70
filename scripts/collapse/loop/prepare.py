"""The step prepare, which writes the real data of an experiment once for all its chains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from collapse import families
from collapse.artifacts import files, identity, manifest, sources
from collapse.artifacts.identity import MadeOf
from collapse.artifacts.manifest import Dataset, ShardFile
from collapse.artifacts.paths import DATASET
from collapse.artifacts.step import Step
from collapse.errors import JobError
from collapse.families.step_jobs import StepJob
from collapse.loop import fitting


def prepare(
    directory: str | Path,
    step: Step,
    *,
    base: str | None = None,
    needed: int = 0,
    made_of: MadeOf | None = None,
) -> None:
    """Write the real data of an experiment into a folder, with a record of its files.

    ``base`` is the folder of the base that the workflow pretrained, if the family needs one, and
    ``needed`` the number of real samples that chains train on.

    Raises TypeError if the family has no data set, and JobError if the data can't be read, is
    other data than when the run began, or has fewer training samples than are needed.
    """
    identity.verify_inputs(made_of)
    sources.verify(made_of)
    family = families.load(step.family)
    write_real_data = families.load_steps(family).prepare
    if write_real_data is None:
        raise TypeError(f"the family {family.name} has no data set to prepare")
    with files.whole_directory(directory) as partial:
        try:
            prepared = write_real_data(
                StepJob(
                    step=step,
                    parameters=fitting.parameters_of(step),
                    data=partial,
                    base=None if base is None else Path(base),
                )
            )
        except JobError as error:  # the message must not name the temporary folder
            raise type(error)(str(error).replace(str(partial), str(directory))) from None
        found = sum(count for _, count in prepared.train)
        if found < needed:
            counts = ", ".join(f"{name} {count}" for name, count in _counts(prepared.details))
            raise JobError(
                f"{directory}: found {found} real training samples, expected at least the {needed} "
                "that the study asks for (samples, and fresh_real if there is any)"
                + (f"; of what was read: {counts}" if counts else "")
            )
        written = {
            split: tuple(
                ShardFile(
                    path=str(Path(directory, name)),
                    start=0,
                    stop=count,
                    sha256=manifest.checksum(partial / name),
                )
                for name, count in parts
            )
            for split, parts in (("train", prepared.train), ("test", prepared.test))
        }
        sources.verify(made_of)
        record = Dataset(**written, details=prepared.details, made_of=made_of or {})
        manifest.write(partial / DATASET, record)


def _counts(details: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, int]]:
    """Yield the counts above 0 among the details of real data, which say what was left out."""
    for name, value in details.items():
        if isinstance(value, Mapping):
            yield from _counts(value, f"{prefix}{name} ")
        elif isinstance(value, int) and value > 0:
            yield prefix + name, value
