"""What to do about a file that is lost or damaged: the end of every message that reports one."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from collapse.artifacts import paths
from collapse.artifacts.files import DamagedFileError, UnreadableFileError
from collapse.errors import JobError, in_one_line

#: Environment variable with the command that runs the workflow, for the scripts of jobs.
_COMMAND = "COLLAPSE_COMMAND"


def note_command(project: Path, study: str) -> None:
    """Note the command that runs a study, for the messages of this process and its children.

    Parameters
    ----------
    project : Path
        The folder of the Snakefile.
    study : str
        The study file, as the configuration names it.
    """
    found = shutil.which("snakemake")
    words = ["snakemake" if found else _shown(Path(sys.executable).with_name("snakemake"))]
    if project.resolve() != Path.cwd().resolve():
        words += ["--snakefile", str(project / "Snakefile")]
    profile = project / "profiles" / ("slurm" if "SLURM_JOB_ID" in os.environ else "local")
    words += ["--profile", _shown(profile), "--config", f"study={study}"]
    os.environ[_COMMAND] = shlex.join(words)


def _shown(path: Path) -> str:
    """Return a path relative to the working directory if it is in there."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def remedy(*lost: str | Path) -> str:
    """Return what restores files: a command to paste, or advice if no rule makes them.

    Snakemake runs once for each iteration, the oldest first. If it made shards of two iterations
    at once, it would also train the models between them again.
    """
    by_iteration: dict[int, dict[str, None]] = {}
    for path in lost:
        output = paths.output_of(path)
        if output is None:
            return "get it again from where it came from"
        by_iteration.setdefault(paths.iteration_of(output), {})[str(output)] = None
    command = os.environ.get(_COMMAND, "snakemake --profile profiles/local")
    commands = [f"{command} --force {shlex.join(by_iteration[t])}" for t in sorted(by_iteration)]
    it = "it" if sum(map(len, by_iteration.values())) == 1 else "them"
    return f"make {it} again with: {' && '.join(commands)}"


def damaged(path: str | Path, found: str) -> DamagedFileError:
    """Return the error of a damaged file or folder: what was found, and what restores it."""
    return DamagedFileError(f"{path}: {found}; {remedy(path)}")


@contextmanager
def reading(path: str | Path, what: str = "damaged") -> Iterator[None]:
    """Turn whatever a library raises while it reads a file or folder into an error of one line.

    Parameters
    ----------
    path : path
    what : str
        What the message says, before the error in parentheses.

    Raises
    ------
    DamagedFileError
        If a library doesn't understand the contents, or something is missing.
    UnreadableFileError
        If the system doesn't let it be read, which says nothing about the contents.
    """
    try:
        yield
    except (JobError, MemoryError):
        raise
    except Exception as error:  # each library raises types of its own
        if _is_of_system(error):
            raise _unreadable(path, error) from None
        if not Path(path).exists():
            raise damaged(path, "missing") from None
        raise damaged(path, f"{what} ({in_one_line(error)})") from None


def _is_of_system(error: Exception) -> bool:
    """Tell whether the operating system raised an error, other than for a file that is missing."""
    return (
        isinstance(error, OSError)
        and not isinstance(error, FileNotFoundError)
        and (error.errno or 0) > 0  # those of libraries are negative or None
    )


def _unreadable(path: str | Path, error: Exception) -> UnreadableFileError:
    """Return the error of a file that the system doesn't let be read."""
    reason = getattr(error, "strerror", None) or in_one_line(error)
    return UnreadableFileError(
        f"{path}: can't be read ({reason}); it is left as it is, run again when it can be read"
    )
