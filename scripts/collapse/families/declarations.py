"""The types with which a family declares its parameters, metrics, figures and expectations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo


class Parameters(BaseModel):
    """The parameters of a family, each a field with a default; a study sets them by name.

    Values have the type of their field, and numbers are finite. A field that is not declared by
    `parameter` first matters to training, and is a dimension of the results of every study.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


#: The stages of a chain to which a parameter can matter first, in order; "later" is the training
#: of iterations from 2 on. Points share a file if they differ only in parameters of later stages:
#: one checkpoint of iteration 1, for example, serves all values of a parameter of generation.
STAGES = ("data", "training", "generation", "evaluation", "later")


def parameter(
    description: str | None = None,
    *,
    stage: str = "training",
    always_an_axis: bool = False,
    added: bool = False,
    **field: Any,
) -> Any:
    """Return a field of `Parameters`, with what `pydantic.Field` takes besides.

    Parameters
    ----------
    description : str or None
        A sentence on the parameter; None if the type has one or each family gives its own.
    stage : str
        The first of `STAGES` to which the parameter matters.
    always_an_axis : bool
        Whether the parameter is a dimension of the results of every study, or only of studies
        whose grid names it.
    added : bool
        Whether the parameter joined the family when there were results without it. With its
        default it is then no part of what an artifact is made of (`identifying`).
    """
    extra: dict[str, Any] = {"stage": stage, "optional_axis": not always_an_axis}
    if added:
        extra["added"] = True
    return Field(description=description, json_schema_extra=extra, **field)


def extra_of(described: FieldInfo | None) -> dict[str, Any]:
    """Return the ``json_schema_extra`` of a field of `Parameters`; empty if it has none."""
    extra = described.json_schema_extra if described is not None else None
    return extra if isinstance(extra, dict) else {}


def identifying(model: type[Parameters], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those parameters that identify an artifact.

    One that was `added` later is left out while it has its default: what exists was made of the
    parameters of its time, and stays valid.
    """
    unused = _added(model)
    return {
        key: value for key, value in values.items() if key not in unused or value != unused[key]
    }


def all_of(model: type[Parameters], identifying: Mapping[str, Any]) -> dict[str, Any]:
    """Return all parameters, given the `identifying` ones."""
    return {**_added(model), **identifying}


def _added(model: type[Parameters]) -> dict[str, Any]:
    """Return the defaults of the parameters that were `added`."""
    fields = model.model_fields.items()
    return {key: field.default for key, field in fields if extra_of(field).get("added")}


class Metric(NamedTuple):
    """A variable of the results, one number per iteration or else one per chain.

    ``comment`` says what one must know to read its values, such as what they depend on besides the
    models; it stands below figures and in the attributes of the results.
    """

    long_name: str
    units: str = "1"
    per_iteration: bool = True
    comment: str = ""


def of_data(metrics: Mapping[str, Metric], suffix: str = ", of real ones") -> dict[str, Metric]:
    """Return a metric ``<name>_of_data`` of each metric: what real samples have in their place."""
    return {
        f"{name}_of_data": Metric(f"{metric.long_name}{suffix}", metric.units)
        for name, metric in metrics.items()
    }


class Score(NamedTuple):
    """A score of single samples, by which a regime selects or weighs them.

    ``description`` is a sentence on what it measures; ``better`` says which scores a selection
    prefers. ``needs`` takes the family's parameters and says what the score needs that they don't
    have, such as ``data: stories``; None if nothing.
    """

    description: str
    better: Literal["higher", "lower"]
    needs: Callable[[Any], str | None] = lambda parameters: None

    @property
    def sign(self) -> int:
        """What to multiply scores by, so that higher is better."""
        return 1 if self.better == "higher" else -1


class Headline(NamedTuple):
    """The metric by which a chain is summarised, which direction is worse, and its scale.

    A chain counts as stable if the metric changes by at most ``stable``: as a share of its first
    value on a linear scale, as a difference of natural logarithms on a log scale. ``meaning`` is a
    sentence for readers of the report: what to see in a figure of the metric.
    """

    metric: str
    worse: Literal["higher", "lower"]
    scale: Literal["linear", "log"] = "linear"
    stable: float = 0.25
    meaning: str = ""


#: What curves show of the seeds.
Average = Literal["mean", "median"]
AVERAGES = get_args(Average)


class Figure(NamedTuple):
    """A figure of a family: small multiples of a metric against iterations or samples.

    Panels have a row for each value of the parameter ``rows`` and a column for each regime, and
    curves a colour for each value of the parameter ``colour``; there is one such figure for each
    combination of the other parameters. Curves are averages over seeds: the mean with a 95 %
    confidence band, or the median with quartiles. ``reference`` is a variable that is drawn beside
    them: what the metric would be of perfect models, or of real data in place of samples. With
    ``compares`` the figure is drawn only if ``colour`` has several values.
    """

    name: str
    metric: str
    rows: str | None
    colour: str = "samples"
    x: Literal["iteration", "samples"] = "iteration"
    xscale: Literal["linear", "log"] = "linear"
    yscale: Literal["linear", "log"] = "linear"
    average: Average = "mean"
    reference: str | None = None
    compares: bool = False


class Distribution(NamedTuple):
    """A figure of the distribution of a metric over seeds, at some iterations.

    Panels have a row for each value of the parameter ``rows`` and a column for each regime; ``at``
    gives the values of other parameters, without which there is no figure. ``label`` is that of the
    horizontal axis, which is logarithmic and begins at ``lowest``.
    """

    name: str
    metric: str
    rows: str
    at: Mapping[str, Any]
    label: str
    lowest: float


def curves(colour: str, metrics: Sequence[str], declared: Mapping[str, Metric]) -> list[Figure]:
    """Return a figure of each metric, with a colour for each value of a parameter.

    A figure has the name of its metric. Its reference is ``<metric>_of_data``, if that is declared.
    """
    references = {metric: f"{metric}_of_data" for metric in metrics}
    return [
        Figure(
            metric.replace("_", "-"),
            metric,
            None,
            colour,
            reference=reference if reference in declared else None,
        )
        for metric, reference in references.items()
    ]


class Published(NamedTuple):
    """A published value of a metric, and the parameters and samples under which it was found.

    Without a regime the value holds under every regime, as values of iteration 1 do. A condition
    that is a tuple is met by each of its values.
    """

    metric: str
    regime: str | None
    iteration: int
    value: float
    conditions: Mapping[str, Any]
    source: str


class Expectation(NamedTuple):
    """A prediction of theory for a metric: at each iteration 1..T, or one number for a chain.

    Attributes
    ----------
    mean : ndarray, shape (iterations,) or (), or None
        Expected value over seeds, in the units of the metric; None if only bounds are known.
    source : str
        The page and equation where it is derived, as ``docs/theory/pairs.md, eq. (3)``.
    deviation : ndarray or None
        Standard deviation over seeds, as ``spread`` says; infinite where the variance is. None if
        the mean is not tested.
    spread : {"exact", "most", "least", "scale"}
        Whether the deviation is exact, at least the true one, at most it, or only of its order.
    exact : bool
        Whether the mean is exact and is tested; an approximation is only drawn.
    of_first : ndarray or None
        If not None, the mean is that of the difference from this multiple of the value at
        iteration 1 of the same seed.
    representable : ndarray or None
        Whether floating-point numbers can hold the metric at each iteration; None if they can.
    lower, upper : ndarray or None
        Bounds of the expected value over seeds, where its mean is not known; None if there is none.
        The deviation is then at least the true one, or None.
    """

    mean: NDArray[np.float64] | None
    source: str
    deviation: NDArray[np.float64] | None = None
    spread: Literal["exact", "most", "least", "scale"] = "exact"
    exact: bool = True
    of_first: NDArray[np.float64] | None = None
    representable: NDArray[np.bool_] | None = None
    lower: NDArray[np.float64] | None = None
    upper: NDArray[np.float64] | None = None

    @property
    def kind(self) -> Literal["theory", "bounds", "approximation"]:
        """How much is known: the exact mean, bounds of it, or what it is about."""
        if self.mean is None:
            return "bounds"
        return "theory" if self.exact else "approximation"

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of what is predicted."""
        return next(np.shape(one) for one in (self.mean, self.lower, self.upper) if one is not None)
