"""Progress of a long step: a bar on a terminal or lines in logs, and points that tools can read.

On a terminal there is a bar; elsewhere a line is printed twice a minute, and written into the job's
log. A file beside the log, ``<name>.metrics.jsonl`` of ``<name>.log``, gets a JSON object on each
line. It stays after the step, and a step that continues an interrupted one continues it, too.

Nothing depends on any of this: if a line can't be written, the step goes on without it.
"""

from __future__ import annotations

import json
import math
import os
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO, TypeVar

T = TypeVar("T")

#: Seconds between two points in the file, and between two lines in logs.
POINTS, LINES = 10.0, 30.0

#: The variable that names the log of this job; the ranks of a training inherit it.
LOG = "COLLAPSE_LOG"

#: Errors of files and streams that nobody can write to, such as a full disk or a closed terminal.
UNWRITABLE = (OSError, ValueError)

_showing: list[Progress] = []
_begun: set[Path] = set()


@contextmanager
def of_job(log: str | Path) -> Iterator[None]:
    """Let the progress of a job be written into its log, and beside it."""
    before = os.environ.get(LOG)
    os.environ[LOG] = str(Path(log).absolute())
    try:
        yield
    finally:
        os.environ.pop(LOG)
        if before is not None:
            os.environ[LOG] = before


def points_of(log: str | Path) -> Path:
    """Return the path of the points of a job with this log."""
    return Path(log).with_suffix(".metrics.jsonl")


class Progress:
    """Progress of a step, or of one of its parts; a context within which it is shown.

    Of nested progresses the outermost is shown, and of several ranks that of the first one.

    Parameters
    ----------
    what : str
        What is done, such as ``training``.
    total : int
        Number of units in all.
    unit : str
        What is counted, in the plural.
    done : int
        Number of units that an interrupted step did before this one, which continues it.
    amount : str
        What else is counted by `advance`, in the plural, such as tokens.
    shown : bool
        Whether to show anything.
    clock : callable
        Returns the time in seconds.
    stream : text file, optional
        Where bars and lines are shown: by default standard error.
    """

    def __init__(
        self,
        what: str,
        total: int,
        *,
        unit: str = "steps",
        done: int = 0,
        amount: str = "",
        shown: bool = True,
        clock: Callable[[], float] = time.monotonic,
        stream: TextIO | None = None,
    ) -> None:
        self.what, self.total, self.unit, self.done = what, total, unit, done
        self._amount_unit, self._amount = amount, 0.0
        self._clock, self._stream = clock, stream or sys.stderr
        self._log = Path(os.environ[LOG]) if LOG in os.environ else None
        self._shown = shown
        self._bar: Any = None

    def __enter__(self) -> Progress:
        self._shown = self._shown and not _showing
        _showing.append(self)
        now = self._clock()
        self._start = self._told = (now, self.done, 0.0)
        self._next_point, self._next_line = now + POINTS, now + LINES
        if self._shown:
            with suppress(*UNWRITABLE):
                self._cut()
            self._bar = self._new_bar()
        return self

    def __exit__(self, *error: object) -> None:
        _showing.remove(self)
        if self._bar is not None:
            with suppress(*UNWRITABLE):
                self._bar.close()

    @property
    def due(self) -> bool:
        """Whether it is time for the next point."""
        return self._shown and self._clock() >= self._next_point

    def advance(self, count: int = 1, amount: float = 0.0) -> None:
        """Count units that are done."""
        self.done += count
        self._amount += amount
        if self._bar is not None:
            try:
                self._bar.update(count)
            except UNWRITABLE:
                self._bar = None

    def count(self, count: int = 1) -> None:
        """Count units that are done, and tell it if that is due."""
        self.advance(count)
        if self.due:
            self.tell()

    def tell(self, **figures: float | None) -> None:
        """Write a point with these figures, and a line if one is due.

        A figure that is None or not finite is left out of the line, and null in the point.
        """
        if not self._shown:
            return
        now = self._clock()
        point = self._point(now, figures)
        self._told, self._next_point = (now, self.done, self._amount), now + POINTS
        if self._log is not None:
            with suppress(*UNWRITABLE):
                _append(points_of(self._log), json.dumps(point))
        said = ", ".join(f"{_spaced(name)} {value:.4g}" for name, value in _finite(figures).items())
        if self._bar is not None:
            self._bar.set_postfix_str(said, refresh=False)
        elif now >= self._next_line:
            self._next_line = now + LINES
            self._say(", ".join(filter(None, (self._place(), said, self._speed(point)))))

    def _point(self, now: float, figures: dict[str, float | None]) -> dict[str, Any]:
        before, done, amount = self._told
        seconds = max(now - before, 1e-9)
        start, first, _ = self._start
        left = (self.total - self.done) * (now - start) / max(self.done - first, 1)
        finite = _finite(figures)
        point: dict[str, Any] = {
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "what": self.what,
            "step": self.done,
            "of": self.total,
            **{name: finite.get(name) for name in figures},
            f"{self.unit}_per_second": (self.done - done) / seconds,
        }
        if self._amount_unit:
            point[f"{self._amount_unit}_per_second"] = (self._amount - amount) / seconds
        return {**point, "seconds_left": left, **memory()}

    def _place(self) -> str:
        return f"{self._label()}: {self.done} of {self.total} {self.unit}"

    def _label(self, *, short: bool = False) -> str:
        """Return the name of the job, as that of its log, and what is done; in short, no point."""
        if self._log is None:
            return self.what
        parts = self._log.with_suffix("").parts
        job = parts[parts.index("logs") + 1 :] if "logs" in parts else parts[-1:]
        return f"{'/'.join(job[:2] + job[3:] if short else job)}: {self.what}"

    def _speed(self, point: dict[str, Any]) -> str:
        rates = [name for name in point if name.endswith("_per_second")]
        told = [f"{point[name]:.4g} {name.replace('_per_second', '/s')}" for name in rates]
        return ", ".join([*told, f"{clock_time(point['seconds_left'])} left"])

    def _say(self, line: str) -> None:
        with suppress(*UNWRITABLE):
            print(line, file=self._stream, flush=True)
        if self._log is not None:
            with suppress(*UNWRITABLE):
                _append(self._log, line)

    def _new_bar(self) -> Any:
        """Return a bar if this is a terminal; tqdm comes with the neural families' libraries."""
        with suppress(ImportError, *UNWRITABLE):
            if self._stream.isatty():
                from tqdm import tqdm

                return tqdm(
                    desc=self._label(short=True),
                    total=self.total,
                    initial=self.done,
                    unit=f" {self.unit}",
                    file=self._stream,
                    dynamic_ncols=True,
                    leave=False,
                    disable=False,  # job.py disables those of libraries
                )
        return None

    def _cut(self) -> None:
        """Let the points and the log of a job begin anew, or where the interrupted one stood."""
        if self._log is None or self._log in _begun:
            return
        _begun.add(self._log)
        path = points_of(self._log)
        if path.exists():
            kept = [
                line
                for line in path.read_text(encoding="utf-8").splitlines()
                if 0 < _step(line, self.what) <= self.done
            ]
            path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
        self._log.unlink(missing_ok=True)


def track(
    values: Iterable[T],
    what: str,
    total: int,
    *,
    unit: str = "steps",
    size: Callable[[T], int] = lambda value: 1,
) -> Iterator[T]:
    """Yield values, and show how many are done; a value counts as ``size`` units."""
    with Progress(what, total, unit=unit) as progress:
        for value in values:
            yield value
            progress.count(size(value))


def last_point(log: str | Path) -> dict[str, Any] | None:
    """Return the last point of a job with this log, or None if it has none."""
    try:
        lines = points_of(log).read_text(encoding="utf-8").splitlines()
    except UNWRITABLE:
        return None
    whole = [line for line in lines[-2:] if _step(line) > 0]  # the last may be half written
    return dict(json.loads(whole[-1])) if whole else None


def memory() -> dict[str, float]:
    """Return the peak memory of this process in MiB, and that of its GPU."""
    found = {"memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        found["gpu_memory_mib"] = round(torch.cuda.max_memory_allocated() / 2**20, 1)
    return found


def clock_time(seconds: float) -> str:
    """Return a duration as hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _append(path: Path, line: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def _step(line: str, what: str | None = None) -> int:
    """Return the step of a point, or 0 if the line is damaged or a point of something else."""
    try:
        point = json.loads(line)
        return int(point["step"]) if what in (None, point["what"]) else 0
    except (ValueError, KeyError, TypeError):
        return 0


def _finite(figures: dict[str, float | None]) -> dict[str, float]:
    found = {name: value for name, value in figures.items() if value is not None}
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _spaced(name: str) -> str:
    return name.replace("_", " ")
