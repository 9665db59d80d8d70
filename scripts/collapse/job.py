"""What every job of the workflow does: compute in one thread, and fail with one line.

It is imported before numpy and torch are, which read the number of threads when they start.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from collapse.errors import JobError

# One thread a job, whatever the machine has: sums of torch depend on how they are split.
os.environ["OMP_NUM_THREADS"] = "1"
# The standard error of a job is for what goes wrong.
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("TQDM_DISABLE", "1")


@contextmanager
def guarded(log: str | Path) -> Iterator[None]:
    """Log time and peak memory of a job, and fail with one line where that says it all.

    A damaged file or a full disk needs no traceback; a bug does.
    """
    start = time.perf_counter()
    try:
        yield
    except (JobError, OSError) as error:
        message = f"error: {error}"
        Path(log).write_text(message + "\n", encoding="utf-8")
        sys.exit(message)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    Path(log).write_text(f"{seconds:.2f} s, peak memory {peak:.0f} MiB\n", encoding="utf-8")
