"""Checksums of the files outside a working directory that a study reads.

A file is read again only if its size, its times or its inode changed since its checksum was noted,
so that a run begins at once although a study names gigabytes of data and pretrained models.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from collapse.artifacts import files, manifest
from collapse.artifacts.harmless import is_harmless
from collapse.artifacts.identity import MadeOf
from collapse.errors import JobError

#: Where checksums are noted, in the working directory.
NOTED = Path(".snakemake", "collapse", "checksums.json")
#: Seconds for which a file that has changed is read anew each time.
RECENT = 2.0


def checksums(paths: Iterable[str]) -> dict[str, str]:
    """Return the checksum of each file or folder; that of a folder covers names and contents.

    What is harmless (`collapse.artifacts.harmless`) is no content of a folder, since no reader
    reads it.

    Raises
    ------
    JobError
        If one of them can't be read.
    """
    noted = _noted()
    before = dict(noted)
    found = {path: _checksum(path, noted) for path in dict.fromkeys(paths)}
    if noted != before:
        with suppress(OSError):  # next time the files are read again
            files.write_text(NOTED, json.dumps(noted, indent=1) + "\n")
    return found


def verify(made_of: MadeOf | None) -> None:
    """Check that the sources of a step are as they were when the run began.

    Raises
    ------
    JobError
        If a file or folder has another content.
    """
    expected = (made_of or {}).get("sources", {})
    found = checksums(expected)
    for path in expected:
        if found[path] != expected[path]:
            raise JobError(
                f"{path}: found another content than when the run began, expected the same; "
                "start the run again"
            )


def _checksum(path: str, noted: dict[str, str]) -> str:
    try:
        if not os.path.isdir(path):
            return _of_file(path, noted)
        whole = hashlib.sha256()
        for part in _files(Path(path)):
            name = part.relative_to(path).as_posix()
            whole.update(f"{name}\n{_of_file(str(part), noted)}\n".encode())
        return whole.hexdigest()
    except OSError as error:
        raise JobError(
            f"{path}: found nothing readable ({error.strerror}), expected data"
        ) from None


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not is_harmless(Path(place, name)))
        yield from (
            path for path in sorted(Path(place, name) for name in names) if not is_harmless(path)
        )


def _of_file(path: str, noted: dict[str, str]) -> str:
    """Return the checksum of a file, from the notes if the file is as it was then."""
    found = os.stat(path)
    state = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
    key = f"{os.path.abspath(path)} {' '.join(map(str, state))}"
    if key in noted:
        return noted[key]
    checksum = manifest.checksum(path)
    # A file may change once more before the clock of its file system ticks.
    if abs(time.time() - max(found.st_mtime, found.st_ctime)) > RECENT:
        noted[key] = checksum
    return checksum


def _noted() -> dict[str, str]:
    try:
        return dict(json.loads(NOTED.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}
