"""The outputs of finished steps are kept until no failed submission can delete them.

When a job of a submission fails, Snakemake deletes the outputs of all jobs of the submission,
among them checkpoints of days. Inside a SLURM job a step's outputs are therefore kept a second
time, as hard links where the file system has them, in a folder that is not an output. A step that
runs again with the same inputs takes its outputs from there, byte for byte. Once a later
submission goes on from the outputs they are safe, and the kept ones are removed. Snakemake's own
options do not do this: `docs/keep-incomplete.md` says what they do instead.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collapse.artifacts import files, manifest
from collapse.artifacts.submission import submission

#: Folder of kept outputs in the folder of an iteration, and file that describes those of a step.
FOLDER, RECORD = ".finished", "finished.json"


@dataclass(frozen=True)
class Work:
    """The work of a step: its outputs, and what they depend on.

    Attributes
    ----------
    name : str
        Name of the step, unique within its iteration.
    folder : Path
        Folder of the iteration.
    outputs : tuple of Path
        Files and folders that the step writes; no two have the same name.
    inputs : tuple of Path
        Files on whose contents the outputs depend.
    identity : mapping
        Whatever else the outputs depend on, as plain values.
    """

    name: str
    folder: Path
    outputs: tuple[Path, ...]
    inputs: tuple[Path, ...]
    identity: Mapping[str, Any]

    def restore(self) -> bool:
        """Restore the kept outputs and return True if they are undamaged and of the same inputs."""
        record = _read(self._kept)
        if submission() is None or record is None or record["identity"] != self._identified():
            return False
        try:
            damaged = record["files"] != _checksums(self._kept / "files")
        except OSError:
            damaged = True
        if damaged:
            print(f"{self._kept} is damaged: starting afresh", file=sys.stderr)
            return False
        for output in self.outputs:
            source = self._kept / "files" / output.name
            whole = files.whole_directory if source.is_dir() else files.whole
            with whole(output) as partial:
                _link(source, partial)
        print(f"{self.name}: finished before, by job {record['submission']}", file=sys.stderr)
        with suppress(OSError):  # then the next submission removes what was kept
            record["submission"] = submission()
            files.write_text(self._kept / RECORD, json.dumps(record))
        return True

    def keep(self) -> None:
        """Keep the outputs inside SLURM; elsewhere a failed job deletes no outputs of others."""
        if submission() is None:
            return
        try:
            with files.whole_directory(self._kept) as partial:
                (partial / "files").mkdir()
                for output in self.outputs:
                    _link(output, partial / "files" / output.name)
                record = {
                    "identity": self._identified(),
                    "submission": submission(),
                    "files": _checksums(partial / "files"),
                }
                files.write_text(partial / RECORD, json.dumps(record))
        except OSError as error:  # the outputs are in place, so the step has not failed
            print(f"{self.name}: cannot be kept ({error})", file=sys.stderr)

    @property
    def _kept(self) -> Path:
        return self.folder / FOLDER / self.name

    def _identified(self) -> Any:
        inputs = [manifest.checksum(path) for path in self.inputs]
        return json.loads(json.dumps({**self.identity, "inputs": inputs}))


def forget(folders: Iterable[str | Path]) -> None:
    """Remove the kept outputs of some iterations, except of steps that this submission finished.

    Snakemake would delete the outputs of these steps if this submission failed later.
    """
    for folder in folders:
        with suppress(OSError):  # something is left or can't be removed, or nothing was there
            for kept in Path(folder, FOLDER).glob("*"):
                record = _read(kept)
                if record is None or record["submission"] != submission():
                    files.remove_directory(kept)
            Path(folder, FOLDER).rmdir()


def discard(folders: Iterable[str | Path]) -> None:
    """Remove all kept outputs of some iterations, because nothing needs them any more."""
    for folder in folders:
        files.remove_directory(Path(folder, FOLDER))


def _read(kept: Path) -> dict[str, Any] | None:
    try:
        record = json.loads((kept / RECORD).read_text(encoding="utf-8"))
        return record if {"identity", "submission", "files"} <= record.keys() else None
    except (OSError, ValueError, AttributeError):
        return None


def _checksums(folder: Path) -> dict[str, str]:
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): manifest.checksum(path) for path in found}


def _link(source: str | Path, target: str | Path) -> None:
    """Link a file, or the files of a folder, into place; copy where links are not possible."""
    if os.path.isdir(source):
        shutil.copytree(source, target, copy_function=_link, dirs_exist_ok=True)
        return
    Path(target).unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
