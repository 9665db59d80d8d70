"""Files that may lie in any folder of data or of a model, and that no reader takes for content."""

from __future__ import annotations

import re
from pathlib import Path

#: Names, in lower case, of what systems and unpacking leave in folders.
_LEFT = {
    "thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    "icon\r",
    "lost+found",
    "__macosx",
    "__pycache__",
    "$recycle.bin",
    "system volume information",
    "@eadir",
}

#: Names, in lower case, of what describes data, without or with the suffix of a text.
_ABOUT = re.compile(
    r"(readme|licen[cs]e|copying|notice|citation|authors|changelog|changes|checksums?|"
    r"(md5|sha1|sha256|sha512)(sums?)?)([-_.][\w-]+)?(\.(txt|html))?|dataset_infos?\.json"
)

#: Suffixes that no reader reads.
_SUFFIXES = {
    *(".md", ".rst", ".cff", ".bib", ".pdf", ".log", ".py", ".ipynb", ".sh"),
    *(".md5", ".sha1", ".sha256", ".sha512"),
}


def is_harmless(entry: Path) -> bool:
    """Tell whether a file or folder is known to be no data: hidden, or a description of the data.

    Such files are not read, and adding or changing one changes nothing of a study.
    """
    name = entry.name.lower()
    if name.startswith(".") or name in _LEFT:
        return True
    describes = entry.suffix.lower() in _SUFFIXES or _ABOUT.fullmatch(name) is not None
    return describes and not entry.is_dir()
