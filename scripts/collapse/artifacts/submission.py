"""The SLURM job that a process is part of."""

from __future__ import annotations

import os


def submission() -> str | None:
    """Return the number of the SLURM job that this process is part of, if any."""
    return os.environ.get("SLURM_JOB_ID")
