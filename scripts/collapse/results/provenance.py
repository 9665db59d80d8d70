"""Provenance of a dataset: the versions of packages and the commit that made it."""

from __future__ import annotations

import contextlib
import platform
import subprocess
from importlib import metadata
from pathlib import Path

#: Packages whose versions the numbers may depend on, where they are installed.
PACKAGES = ("numpy", "scipy", "xarray", "netCDF4", "pydantic", "snakemake")


def provenance(directory: str | Path) -> dict[str, str]:
    """Return the versions of what the numbers may depend on, and the git commit of a checkout."""
    from collapse import __version__

    versions = {"collapse_version": __version__, "python_version": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[f"{package.lower()}_version"] = metadata.version(package)
    return {**versions, "git_commit": git_commit(directory)}


def git_commit(directory: str | Path) -> str:
    """Return the commit of a checkout, with ``-dirty`` if it was changed, or ``unknown``."""
    command = [
        "git",
        "-C",
        str(directory),
        "describe",
        "--always",
        "--dirty",
        "--abbrev=40",
        "--exclude=*",
    ]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return found.stdout.strip()
