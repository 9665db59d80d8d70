"""What all jobs of the workflow share: one thread, a log, and failures told in one line.

The log and the benchmark of a job decide nothing: a job whose outputs are written has succeeded,
whether they can be written or not. (Snakemake deletes the outputs of a job whose benchmark it
can't write, so that the benchmarks are written here.)

It must be imported before numpy and torch, which read the number of threads when they start.
"""

from __future__ import annotations

import atexit
import gc
import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from collapse import progress
from collapse.errors import JobError

_IMPORTED = time.perf_counter()
_counted = 0.0

# Every job uses one thread, because sums in torch depend on how threads divide them.
os.environ["OMP_NUM_THREADS"] = "1"
# Standard error is kept for failures and our own progress: libraries write neither progress nor
# warnings.
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("TQDM_DISABLE", "1")
# Libraries such as torch make a million objects that stay. To search them for cycles again and
# again takes a fifth of their import; to search them once more at the end takes as long.
gc.set_threshold(20_000)
atexit.register(gc.freeze)


@contextmanager
def guarded(log: str | Path, since: float = _IMPORTED) -> Iterator[None]:
    """Log time and peak memory of a job, or exit with one line on a `JobError` or `OSError`.

    A damaged file or a full disk needs no traceback; any other exception is a bug and keeps it.
    Beside the log, ``.benchmark.tsv`` has the columns of Snakemake's benchmarks for these two and
    for the processor seconds since the job before in this process. The time is counted from
    ``since``: by default from the imports of this process on.
    """
    start = time.perf_counter()
    try:
        with progress.of_job(log):
            yield
    except (JobError, OSError) as error:
        message = f"error: {error}"
        _note(Path(log), message)
        sys.exit(message)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    _note(Path(log), f"{seconds:.2f} s, peak memory {peak:.0f} MiB")
    whole = time.perf_counter() - since
    values = f"{whole:.4f}\t{peak:.2f}\t{_processor_seconds():.4f}"
    _note(Path(log).with_suffix(".benchmark.tsv"), f"s\tmax_rss\tcpu_time\n{values}")


def _processor_seconds() -> float:
    """Return those of this process and its children since the last job that it finished."""
    global _counted
    used = [resource.getrusage(who)[:2] for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    before, _counted = _counted, sum(map(sum, used))
    return _counted - before


def _note(path: Path, content: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n", encoding="utf-8")
    except OSError as error:
        print(f"{path}: can't be written ({error.strerror})", file=sys.stderr)
