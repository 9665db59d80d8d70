"""The state that an interrupted training goes on from: written whole, read with suspicion."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from collapse import files

_FILE = "training.pt"


def write(folder: Path, content: Mapping[str, Any]) -> None:
    """Write a state, with its ``fingerprint``, into a folder."""
    with files.whole(folder / _FILE) as partial:
        try:
            torch.save(dict(content), partial)
        except RuntimeError as error:  # torch's own way to report a full disk
            raise OSError(f"cannot write the state of training to {folder}: {error}") from None


def read(folder: Path, fingerprint: str) -> dict[str, Any] | None:
    """Return a saved state; say so if there is one that is damaged or of something else."""
    path = folder / _FILE
    if not path.exists():
        return None
    try:
        with zipfile.ZipFile(path) as archive:  # torch.load doesn't look at the checksums
            sound = archive.testzip() is None
        content = torch.load(path, map_location="cpu", weights_only=True) if sound else None
    except Exception:  # damage may show as anything
        content = None
    if not isinstance(content, dict):
        reason = "is damaged"
    elif content.get("fingerprint") != fingerprint:
        reason = "belongs to other data or parameters"
    else:
        return content
    print(f"{path} {reason}: starting afresh", file=sys.stderr)
    return None
