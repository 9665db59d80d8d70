"""Before and after a run: read its configuration, set damaged results aside, report its end."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from collapse import study as studies
from collapse.artifacts import chain_file
from collapse.study import Study, yaml_file


def path_mistake(project: Path) -> str | None:
    """Return in one line why Snakemake can't run jobs from these paths; None if it can."""
    if re.search(r"[^\w@%+=:,./-]", sys.executable):
        return (
            f"{sys.executable}: found a path that Snakemake does not quote for the shell, "
            "expected a Python elsewhere (make VENV=PATH)"
        )
    if set(str(project)) & set("{}"):
        return f"{project}: found braces, which Snakemake takes for wildcards, expected none"
    return None


def configuration(
    config: Mapping[str, Any], folders: Sequence[Path]
) -> tuple[Study, dict[str, str]]:
    """Return the study and the conda environments that Snakemake's ``config`` names.

    The study file is looked for in the ``folders`` in turn. A mistake in the configuration or
    the study, or a path that Snakemake can't take, ends the process with one line.
    """
    mistake = path_mistake(Path(folders[-1]))
    if mistake is not None:
        sys.exit(f"error: {mistake}")
    try:
        return studies.load(yaml_file.find(config, folders)), yaml_file.environments(config)
    except studies.StudyError as error:
        sys.exit(f"error: {error}")


def set_damaged_results_aside() -> None:
    """Rename result files that can't be opened, so that Snakemake makes them again."""
    for path in sorted(Path("results").glob("*/**/*.nc")):
        if path.is_file() and chain_file.is_damaged(path):
            print(f"{path} is damaged: it will be made again", file=sys.stderr)
            chain_file.set_aside(path)


def print_summary() -> None:
    """Print the summary of the study, if there is one, to standard error."""
    text = Path("results/tables/summary.txt")
    if text.exists():
        print(f"\n{text.read_text(encoding='utf-8')}", file=sys.stderr)


def print_errors(since: float) -> None:
    """Print the errors of jobs that failed since a time, in seconds since the epoch.

    Jobs on a cluster write their errors to logs alone.
    """
    for path in sorted(Path("logs").rglob("*.log")):
        if path.stat().st_mtime >= since:
            said = path.read_text(encoding="utf-8")
            if said.startswith("error: "):
                print(f"{path}: {said.strip()}", file=sys.stderr)
