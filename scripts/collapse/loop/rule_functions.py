"""Functions that rules call for each of their jobs, made cheap to call for Snakemake.

Snakemake inspects the signature of such a function whenever it calls it, which takes as long as
most of ours. It skips that for functions whose parameters are known beforehand.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from snakemake.common import overwrite_function_params

T = TypeVar("T")


def known(function: T) -> T:
    """Note the parameters of a function, or of all functions of a class that take wildcards."""
    if inspect.isclass(function):
        for each in vars(function).values():
            if inspect.isfunction(each) and "wildcards" in inspect.signature(each).parameters:
                _note(each)
    else:
        _note(function)
    return function


def _note(function: Callable[..., Any] | Any) -> None:
    parameters = dict(inspect.signature(function).parameters)
    parameters.pop("self", None)  # a bound method is asked for the attributes of its function
    overwrite_function_params(function, parameters)
