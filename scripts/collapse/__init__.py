"""Model-data feedback loops: fit, sample, decide by a regime what to train on next, refit.

Functions for interactive use are `simulate`, `expectation`, `load_samples` and `load_model`. They
are imported when they are first used, because every job of the workflow imports this module.
"""

from importlib import import_module

__version__ = "0.1.0"

__all__ = ["StudyError", "__version__", "expectation", "load_model", "load_samples", "simulate"]


def __getattr__(name: str) -> object:
    if name in __all__:
        return getattr(import_module("collapse.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
