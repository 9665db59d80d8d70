"""The findings of the checks before a run."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import NamedTuple


class Finding(NamedTuple):
    """The result of one check: its subject, what was found and, of a fault alone, a remedy."""

    subject: str
    found: str
    remedy: str = ""

    def __str__(self) -> str:
        line = f"{'FAULT' if self.remedy else 'ok':<5}  {self.subject}: {self.found}"
        return f"{line}. {self.remedy}" if self.remedy else line


def report(findings: Iterable[Finding]) -> int:
    """Print findings, one in a line, and return the number of faults."""
    faults = 0
    for finding in findings:
        print(finding, file=sys.stderr, flush=True)
        faults += bool(finding.remedy)
    return faults
