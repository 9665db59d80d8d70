"""What a submission has finished, kept until nothing can delete it any more.

When a job of a submission fails, Snakemake deletes what all of its jobs have made, a checkpoint
of days with it. Inside a job of SLURM a step's outputs are therefore kept a second time, as hard
links where the file system has them, in a folder that is no output. A step that runs again with
the same inputs takes its outputs from there: the same bytes, at once. When a later submission
goes on from them they are safe, and what was kept is removed.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collapse.artifacts import files, manifest

#: Where in the folder of an iteration it is, and what says what it is.
FOLDER, RECORD = ".finished", "finished.json"


def submission() -> str | None:
    """Return the number of the SLURM job that this process is part of."""
    return os.environ.get("SLURM_JOB_ID")


@dataclass(frozen=True)
class Work:
    """A step's work: what it makes, and what it makes it of.

    Attributes
    ----------
    name : str
        The step, among those of its iteration.
    folder : Path
        Of the iteration.
    outputs : tuple of Path
        Files and folders of different names.
    inputs : tuple of Path
        Files whose contents it is made of.
    identity : mapping
        What else it depends on, as plain values.
    """

    name: str
    folder: Path
    outputs: tuple[Path, ...]
    inputs: tuple[Path, ...]
    identity: Mapping[str, Any]

    def restore(self) -> bool:
        """Take the outputs from what was kept, if it is sound and of the same inputs."""
        record = _read(self._kept)
        if submission() is None or record is None or record["identity"] != self._identified():
            return False
        if record["files"] != _checksums(self._kept / "files"):
            print(f"{self._kept} is damaged: starting afresh", file=sys.stderr)
            return False
        for output in self.outputs:
            source = self._kept / "files" / output.name
            if source.is_dir():
                with files.whole_directory(output) as partial:
                    _link(source, partial)
            else:
                with files.whole(output) as partial:
                    _link(source, partial)
        print(f"{self.name}: finished before, by job {record['submission']}", file=sys.stderr)
        files.write_text(self._kept / RECORD, json.dumps({**record, "submission": submission()}))
        return True

    def keep(self) -> None:
        """Keep the outputs; outside SLURM, where only a failed job's own are deleted, don't."""
        if submission() is None:
            return
        try:
            with files.whole_directory(self._kept) as partial:
                for output in self.outputs:
                    _link(output, partial / "files" / output.name)
                record = {
                    "identity": self._identified(),
                    "submission": submission(),
                    "files": _checksums(partial / "files"),
                }
                files.write_text(partial / RECORD, json.dumps(record))
        except OSError as error:  # the outputs are there: no reason to fail
            print(f"{self.name}: cannot be kept ({error})", file=sys.stderr)

    @property
    def _kept(self) -> Path:
        return self.folder / FOLDER / self.name

    def _identified(self) -> Any:
        inputs = [manifest.checksum(path) for path in self.inputs]
        return json.loads(json.dumps({**self.identity, "inputs": inputs}))


def forget(folders: Iterable[str | Path]) -> None:
    """Remove what is kept of some iterations, but not what this very submission finished.

    That is deleted with it if it fails yet.
    """
    for folder in folders:
        for kept in Path(folder, FOLDER).glob("*"):
            record = _read(kept)
            if record is None or record["submission"] != submission():
                files.remove_directory(kept)
        with suppress(OSError):  # something is left, or nothing was there
            Path(folder, FOLDER).rmdir()


def discard(folders: Iterable[str | Path]) -> None:
    """Remove all that is kept of some iterations: who made it is done with it."""
    for folder in folders:
        files.remove_directory(Path(folder, FOLDER))


def _read(kept: Path) -> dict[str, Any] | None:
    try:
        record = json.loads((kept / RECORD).read_text(encoding="utf-8"))
        return record if {"identity", "submission", "files"} <= record.keys() else None
    except (OSError, ValueError, AttributeError):
        return None


def _checksums(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): manifest.checksum(path) for path in _files(folder)}


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _link(source: Path, target: Path) -> None:
    """Link a file, or the files of a folder, into place; copy where links are not to be had."""
    if source.is_dir():
        for path in _files(source):
            _link(path, target / path.relative_to(source))
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
