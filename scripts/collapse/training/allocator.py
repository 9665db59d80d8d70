"""The memory allocator of a CPU, which training uses in its own way."""

from __future__ import annotations

import ctypes
from contextlib import suppress


def keep_freed_memory() -> None:
    """Let the memory allocator of a CPU keep the memory that an update frees for the next one.

    By default glibc returns large blocks to the system, and getting them back takes about a
    tenth of the time of an update. Without glibc this does nothing.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(-3, 2**25)  # M_MMAP_THRESHOLD, at its largest
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD
