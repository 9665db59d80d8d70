"""Families of models, loaded by name and only when asked for, and the words they describe
themselves in. What a family must be able to do is in `collapse.families.contract`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

#: Where each family lives. A new family is a new module and a line here.
MODULES = {
    "gaussian": "collapse.families.gaussian",
    "linear_regression": "collapse.families.linear_regression",
    "kernel_density": "collapse.families.kernel_density",
    "discrete": "collapse.families.discrete",
    "language_model": "collapse.families.language_model",
    "fine_tuning": "collapse.families.fine_tuning",
    "vae": "collapse.families.vae",
    "molecule_diffusion": "collapse.families.molecule_diffusion",
}


class Parameters(BaseModel):
    """The grid keys of a family: one field each, all with a default.

    Fields marked with `variant` become a dimension of the results only in a study that
    names them; the others always are one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)


#: The steps of an iteration, in the order in which parameters begin to matter to them. A
#: checkpoint of iteration 1, say, serves all points that differ only in what comes later: in its
#: evaluation, or in the training of iterations from 2 on.
STAGES = ("data", "training", "generation", "evaluation", "later")


def variant(stage: str = "training") -> dict[str, Any]:
    """Mark a field of `Parameters` as a variant (its ``json_schema_extra``).

    ``stage`` is the first of `STAGES` to which the parameter matters.
    """
    return {"variant": True, "stage": stage}


def stage_of(family: Any, parameter: str) -> int:
    """Return the index of the first of `STAGES` to which a parameter, or ``samples``, matters."""
    field = family.Parameters.model_fields.get(parameter)
    extra = (field.json_schema_extra if field else None) or {}
    return STAGES.index(extra.get("stage", "training"))


class Metric(NamedTuple):
    """A variable of the results; ``per_iteration`` is false for one number per chain."""

    long_name: str
    units: str = "1"
    per_iteration: bool = True


class Headline(NamedTuple):
    """The metric by which a chain is judged: which way is worse, and on which scale.

    Below a change of ``stable`` (a share of the first value, or on a log scale of e) it
    hardly changed.
    """

    metric: str
    worse: Literal["higher", "lower"]
    scale: Literal["linear", "log"] = "linear"
    stable: float = 0.25


def headline_of_mixtures(family: Any) -> Headline:
    """Return the metric by which mixtures of real and synthetic samples are judged.

    It is the headline of chains, but where a family names another: ``MIXTURE_HEADLINE``.
    """
    headline: Headline = getattr(family, "MIXTURE_HEADLINE", family.HEADLINE)
    return headline


class Figure(NamedTuple):
    """A figure of a family: small multiples of a metric against iterations or samples.

    ``rows`` is the grid parameter of the rows of panels, regimes are the columns, and
    ``colour`` the parameter of the curves. Every other axis gives a figure of its own.
    ``average`` is over seeds: a mean with a 95 % confidence band, or a median with quartiles.
    ``reference`` is a variable drawn as a line that the metric can't cross. A figure that
    ``compares`` is drawn where the study has several values of its colour.
    """

    name: str
    metric: str
    rows: str | None
    colour: str = "samples"
    x: Literal["iteration", "samples"] = "iteration"
    xscale: Literal["linear", "log"] = "linear"
    yscale: Literal["linear", "log"] = "linear"
    average: Literal["mean", "median"] = "mean"
    reference: str | None = None
    compares: bool = False


class Published(NamedTuple):
    """A published value of a metric, and the parameters and samples under which it was found.

    Without a regime it holds under every one: at iteration 1 they are the same. A condition may
    be a tuple of values that are all the same.
    """

    metric: str
    regime: str | None
    iteration: int
    value: float
    conditions: Mapping[str, Any]
    source: str


class Expectation(NamedTuple):
    """What theory says of a metric, at iterations 1..T or, without that axis, of a chain.

    Attributes
    ----------
    mean : ndarray, shape (iterations,) or ()
    deviation : ndarray or None
        Standard deviation over seeds, or a lower bound of it: 100 seeds of a skewed
        distribution often miss its tail and so underestimate their own standard error.
    exact : bool
        Approximations are drawn, not tested.
    above_first : bool
        The expectation is of the difference from iteration 1 of the same seed.
    """

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64] | None = None
    exact: bool = True
    above_first: bool = False


class Work(NamedTuple):
    """What one sample costs in the steps of an iteration, roughly, and a checkpoint's size."""

    train_flops: float = 0.0
    generate_flops: float = 0.0
    sample_bytes: float = 100.0
    model_bytes: float = 1000.0


def runs_at_once(family: Any) -> bool:
    """Tell whether one job can run a whole chain of a family: whether it is in closed form."""
    return hasattr(family, "Chain")


def runs_by_iteration(family: Any) -> bool:
    """Tell whether the steps of a family's iterations can be jobs with files."""
    return hasattr(family, "STEPS")


def is_neural(family: Any) -> bool:
    """Tell whether the steps of a family want a GPU."""
    return not runs_at_once(family)


def load_steps(name: str) -> Any:
    """Import the module of a family's steps, which may be heavy: for jobs alone."""
    return importlib.import_module(load(name).STEPS)


def load(name: str) -> Any:
    """Import the module of a family.

    Raises
    ------
    KeyError
        If no family has this name.
    """
    return importlib.import_module(MODULES[name])
