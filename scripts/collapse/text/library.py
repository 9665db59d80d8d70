"""The library transformers, imported without others that it imports wherever it finds them.

They serve what no step does, such as assisted generation and the losses of object detectors, and
take as long to import as torch. transformers looks for each of them once, and remembers.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["transformers"]


@contextmanager
def _hidden(*names: str) -> Iterator[None]:
    """Let modules that are not imported yet look as if they were not installed."""
    hidden: dict[str, Any] = {name: None for name in names if name not in sys.modules}
    sys.modules.update(hidden)
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


with _hidden("sklearn", "scipy"):
    import transformers

    transformers.utils.is_sklearn_available()
    transformers.utils.is_scipy_available()
