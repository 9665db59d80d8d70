"""The words in which a family describes itself: parameters, metrics, figures, expectations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from pydantic.fields import FieldInfo


class Parameters(BaseModel):
    """The grid keys of a family: one field each, all with a default.

    A field that `matters_from` does not describe matters from the training on, and is a dimension
    of the results of every study.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)


#: The steps of an iteration, in the order in which parameters begin to matter to them. A
#: checkpoint of iteration 1, say, serves all points that differ only in what comes later: in its
#: evaluation, or in the training of iterations from 2 on.
STAGES = ("data", "training", "generation", "evaluation", "later")


def matters_from(stage: str = "training", *, always_an_axis: bool = False) -> dict[str, Any]:
    """Say from which step of an iteration on a field of `Parameters` matters.

    Parameters
    ----------
    stage : str
        The first of `STAGES` to which the parameter matters.
    always_an_axis : bool
        Whether the parameter is a dimension of the results of every study, or only of studies
        whose grid names it.

    Returns
    -------
    dict
        The field's ``json_schema_extra``.
    """
    return {"stage": stage, "optional_axis": not always_an_axis}


def extra_of(described: FieldInfo | None) -> dict[str, Any]:
    """Return what a field of `Parameters` says of itself beside its type and description."""
    extra = described.json_schema_extra if described is not None else None
    return extra if isinstance(extra, dict) else {}


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
    source : str
        The page and equation where it is derived, as ``docs/theory/pairs.md, eq. (3)``.
    deviation : ndarray or None
        Standard deviation over seeds, or a lower bound of it: 100 seeds of a skewed
        distribution often miss its tail and so underestimate their own standard error.
    exact : bool
        Approximations are drawn, not tested.
    above_first : bool
        The expectation is of the difference from iteration 1 of the same seed.
    """

    mean: NDArray[np.float64]
    source: str
    deviation: NDArray[np.float64] | None = None
    exact: bool = True
    above_first: bool = False


class SampleCost(NamedTuple):
    """A rough estimate of what one sample costs in the steps of an iteration.

    Attributes
    ----------
    train_flops, generate_flops : float
        Floating-point operations of training on a sample and of generating one.
    sample_bytes, model_bytes : float
        Size of a stored sample and of a checkpoint.
    """

    train_flops: float = 0.0
    generate_flops: float = 0.0
    sample_bytes: float = 100.0
    model_bytes: float = 1000.0
