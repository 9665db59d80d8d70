"""What the user forces to run again: ``--forceall``, ``--forcerun``, ``--force``."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

#: The variable with which a run tells its jobs what is forced.
FORCED = "COLLAPSE_FORCED"

#: Stands for all jobs.
ALL = "*"


class Forcing:
    """Which rules and outputs the user forces.

    Snakemake tells its settings after it has read the rules, so they are asked for whenever a job
    is planned. The processes of jobs have settings of their own; they learn from the environment
    what the process that plans the run found.

    Parameters
    ----------
    settings : callable
        Returns Snakemake's DAGSettings, or None before there are any.
    main : bool
        Whether this process plans the run.
    """

    def __init__(self, settings: Callable[[], Any] = lambda: None, *, main: bool = True) -> None:
        self._settings = settings
        self._main = main

    def any_of(self, *names: str) -> bool:
        """Tell whether the user forces one of these rules or paths of outputs, or all jobs."""
        return not self._names().isdisjoint({ALL, *names})

    @property
    def spreads(self) -> bool:
        """Whether what follows from forced jobs runs too (``--forceall``, ``--forcerun``)."""
        settings = self._settings()
        return settings is not None and bool(settings.forceall or settings.forcerun)

    def _names(self) -> set[str]:
        if not self._main:
            return set(json.loads(os.environ.get(FORCED, "[]")))
        settings = self._settings()
        if settings is None:
            return set()
        names = {*settings.forcerun, *(settings.targets if settings.forcetargets else ())}
        names |= {ALL} if settings.forceall else set()
        os.environ[FORCED] = json.dumps(sorted(names))
        return names
