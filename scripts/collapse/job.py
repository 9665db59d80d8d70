"""What all jobs of the workflow share: one thread, a log, and failures told in one line.

It must be imported before numpy and torch, which read the number of threads when they start.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from collapse import progress
from collapse.errors import JobError

# Every job uses one thread, because sums in torch depend on how threads divide them.
os.environ["OMP_NUM_THREADS"] = "1"
# Standard error is kept for failures and our own progress: libraries write neither progress nor
# warnings.
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("TQDM_DISABLE", "1")


@contextmanager
def guarded(log: str | Path) -> Iterator[None]:
    """Log time and peak memory of a job, or exit with one line on a `JobError` or `OSError`.

    A damaged file or a full disk needs no traceback; any other exception is a bug and keeps it.
    """
    start = time.perf_counter()
    try:
        with progress.of_job(log):
            yield
    except (JobError, OSError) as error:
        message = f"error: {error}"
        Path(log).write_text(message + "\n", encoding="utf-8")
        sys.exit(message)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    Path(log).write_text(f"{seconds:.2f} s, peak memory {peak:.0f} MiB\n", encoding="utf-8")
