"""The families of models, each imported only when it is asked for by its name.

The module `collapse.families.contract` says what a family has to provide.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path

from collapse.families.contract import Family
from collapse.families.declarations import Parameters
from collapse.families.step_jobs import P, Steps
from collapse.plotting.portraits import IterationFile

#: The module of each family. To add a family, write its module and add a line here.
MODULES = {
    "gaussian": "collapse.families.gaussian",
    "linear_regression": "collapse.families.linear_regression",
    "kernel_density": "collapse.families.kernel_density",
    "discrete": "collapse.families.discrete",
    "logistic_regression": "collapse.families.generalised_linear.logistic_regression",
    "poisson_regression": "collapse.families.generalised_linear.poisson_regression",
    "language_model": "collapse.families.language_model",
    "fine_tuning": "collapse.families.fine_tuning",
    "vae": "collapse.families.vae",
    "molecule_diffusion": "collapse.families.molecule_diffusion",
}


def load(name: str) -> Family[Parameters]:
    """Return the value ``FAMILY`` of a family's module, which imports no heavy library.

    Raises
    ------
    KeyError
        If no family has this name.
    TypeError
        If the module's ``FAMILY`` is not a `Family` of this name.
    """
    family = importlib.import_module(MODULES[name]).FAMILY
    if not isinstance(family, Family) or family.name != name:
        raise TypeError(f"{MODULES[name]}.FAMILY: found {family!r}, expected the family {name}")
    return family


def load_steps(family: Family[P]) -> Steps[P]:
    """Import a family's `Steps`, which may take seconds; only jobs call this.

    Raises
    ------
    TypeError
        If the family does not run by steps, or its module's ``STEPS`` are not `Steps`.
    """
    module = family.by_steps.module
    steps = importlib.import_module(module).STEPS
    if not isinstance(steps, Steps):
        raise TypeError(f"{module}.STEPS: found {steps!r}, expected Steps")
    return steps


def load_pictures(family: Family[P]) -> Callable[[Sequence[IterationFile], Path], None]:
    """Import the function that draws a family's pictures.

    It takes the records of iterations and the folder that the pictures are written into.

    Raises
    ------
    TypeError
        If the family has no pictures.
    """
    module = family.by_steps.pictures
    if module is None:
        raise TypeError(f"the family {family.name} has no pictures")
    draw: Callable[[Sequence[IterationFile], Path], None] = importlib.import_module(module).draw
    return draw
