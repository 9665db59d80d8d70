"""What looking for trouble finds."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import NamedTuple


class Finding(NamedTuple):
    """What was looked at, what was found, and what to do about it if that is not well."""

    subject: str
    found: str
    remedy: str = ""

    def __str__(self) -> str:
        line = f"{'FAULT' if self.remedy else 'ok':<5}  {self.subject}: {self.found}"
        return f"{line}. {self.remedy}" if self.remedy else line


def report(findings: Iterable[Finding]) -> int:
    """Print findings, and return how many are faults."""
    faults = 0
    for finding in findings:
        print(finding, file=sys.stderr, flush=True)
        faults += bool(finding.remedy)
    return faults
