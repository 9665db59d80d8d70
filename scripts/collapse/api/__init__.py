"""The package in interactive use, without Snakemake: what `collapse` offers by itself.

`simulate` and `expectation` take an experiment as a study file has it, and `load_samples` and
`load_model` read what a run left in its folder of results. A mistake is a `StudyError` of one line.
"""

from collapse.api.reading import load_model, load_samples
from collapse.api.simulation import expectation, simulate
from collapse.study.errors import StudyError

__all__ = ["StudyError", "expectation", "load_model", "load_samples", "simulate"]
