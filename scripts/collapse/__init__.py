"""Model-data feedback loops: fit, sample, decide by a regime what to train on next, refit."""

__version__ = "0.1.0"
