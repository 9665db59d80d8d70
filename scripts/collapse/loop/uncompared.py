"""Parameters of jobs that change no result.

Snakemake runs a job again if a parameter changes whose type is one of Python's own. What a job
tidies up, or whether it is forced, is wrapped in `Uncompared`, so that its change has no effect.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Uncompared:
    """A value that a job needs and that Snakemake does not compare with that of the last run."""

    value: Any
