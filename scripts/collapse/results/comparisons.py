"""Comparison of the metrics of chains with what theory expects of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from collapse import families
from collapse.families import regime_metrics
from collapse.families.declarations import Expectation
from collapse.results import evidence
from collapse.results.dataset import values_of
from collapse.study import mixtures
from collapse.study.chain_spec import ChainSpec

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.float64]

#: Smaller expectations are too close to the smallest floating-point numbers to be compared.
SMALLEST = 1e-290
#: The status of an iteration for which theory predicts nothing of a metric.
NOT_PREDICTED = "not predicted"


def expectations(spec: ChainSpec) -> dict[str, Expectation]:
    """Return the expectations of a chain's metrics at the evaluated iterations, if any."""
    family = families.load(spec.family)
    at = np.asarray(spec.evaluated) - 1

    def evaluated(values: NDArray[Any] | None) -> Any:
        return values if values is None or not values.ndim else values[at]

    def recorded(one: Expectation) -> Expectation:
        return one._replace(
            mean=evaluated(one.mean),
            deviation=evaluated(one.deviation),
            of_first=evaluated(one.of_first),
            representable=evaluated(one.representable),
            lower=evaluated(one.lower),
            upper=evaluated(one.upper),
        )

    chain = spec.regime, spec.samples, spec.iterations
    found = {
        **family.expectations(family.parameters(**spec.parameters), *chain),
        **regime_metrics.expectations(*chain),
    }
    return {metric: recorded(one) for metric, one in found.items()}


class Comparison(NamedTuple):
    """A metric of a chain beside its expectation; arrays of shape (iterations,), or (1,).

    Attributes
    ----------
    simulated, standard_error, expected, z : ndarray
        A z is NaN where no comparison can be made, and infinite where a simulation is not finite or
        differs from what has no spread.
    status : ndarray of str
        "compared", "not finite", "infinite variance", "out of range" or "not predicted", where the
        expectation is NaN.
    deviations : evidence.Chain
        The deviations of single seeds.
    attainable : float
        The largest z that so many seeds can have.
    bounded : bool
        Whether only bounds of the expectation are known. Then ``expected`` is the value between
        them that is nearest to what was simulated.
    """

    simulated: Array
    standard_error: Array
    expected: Array
    z: Array
    status: NDArray[np.str_]
    deviations: evidence.Chain
    attainable: float
    bounded: bool = False


def compare(values: Array, expectation: Expectation, point: str = "") -> Comparison:
    """Compare a metric of one chain, of shape (seeds, iterations) or (seeds,), with theory."""
    values = values.reshape(len(values), -1)
    if expectation.mean is None:
        return _compare_with_bounds(values, expectation, point)
    expected = np.atleast_1d(expectation.mean)
    spread = np.atleast_1d(np.nan if expectation.deviation is None else expectation.deviation)
    scale = np.fmax(np.abs(expected), np.abs(values))
    with np.errstate(invalid="ignore"):  # both may be infinite
        if expectation.of_first is not None:
            values = values - expectation.of_first * values[:, :1]
        simulated, difference = values.mean(axis=0), values - expected
    finite = np.isfinite(values).all(axis=0)
    # Differences of rounding errors alone are no evidence.
    rounding = np.isfinite(scale) & (np.abs(difference) <= 1e-9 * scale + 1e-300)
    same = rounding | (values == expected)
    in_range = (expected == 0) | (np.abs(expected) >= SMALLEST)
    if expectation.representable is not None:
        in_range &= expectation.representable | finite
    scored = np.isfinite(expected) & in_range & finite & np.isfinite(spread) & (spread > 0)

    known = expectation.spread in ("exact", "most")
    unit = np.where(scored, spread, 1.0)
    deviations = np.where(scored, difference, 0.0) / unit
    least = 0.0 if expectation.spread == "scale" else 1.0
    found = evidence.score(deviations, np.where(scored, least, 1.0), known=known)
    unlike = np.where(same.all(axis=0), 0.0, np.inf)
    cases = {
        NOT_PREDICTED: np.isnan(expected),
        "infinite": ~np.isfinite(expected),
        "out of range": ~in_range,
        "not finite": ~finite,
        "infinite variance": ~np.isfinite(spread),
        "no spread": spread == 0,
    }
    z = np.select(
        list(cases.values()), [np.nan, unlike, np.nan, np.inf, np.nan, unlike], default=found.z
    )
    named = [NOT_PREDICTED, "compared", *list(cases)[2:-1], "compared"]
    status = np.select(list(cases.values()), named, default="compared")
    observed = np.sqrt((deviations**2).mean(axis=0))
    error = unit * (1.0 if known else np.maximum(observed, least)) / np.sqrt(len(values))
    # An error is taken to be in proportion to what is expected, if that is not zero.
    size = np.abs(np.where(scored, expected, 0.0)) / unit
    weights = size if size.any() else scored.astype(float)
    chain = evidence.Chain(point, deviations, np.where(scored, weights, 0.0), known, least)
    standard_error = np.where(scored, error, np.nan)
    return Comparison(simulated, standard_error, expected, z, status, chain, found.attainable)


def _compare_with_bounds(values: Array, expectation: Expectation, point: str) -> Comparison:
    """Compare a metric of which theory has bounds: only what is outside of them counts.

    There is no theory of deviations inside, so that these comparisons are in no pool.
    """
    none = np.full(values.shape[1], np.inf)
    lower = -none if expectation.lower is None else np.atleast_1d(expectation.lower)
    upper = none if expectation.upper is None else np.atleast_1d(expectation.upper)
    finite = np.isfinite(values).all(axis=0)
    simulated = values.mean(axis=0)
    expected = np.clip(simulated, lower, upper)
    difference = np.where(finite & np.isfinite(expected), values - expected, 0.0)
    outside = finite & (np.abs(simulated - expected) > 1e-9 * np.abs(expected))
    terms, known = np.where(outside, difference, 0.0), expectation.deviation is not None
    spread = np.atleast_1d(0.0 if expectation.deviation is None else expectation.deviation)
    least = 1e-9 * np.fmax(np.abs(expected), 1e-290)  # no spread at all would divide by zero
    found = evidence.score(terms, np.maximum(spread, known * least) ** 2, known=known)
    error = values.std(axis=0, ddof=min(1, len(values) - 1)) / np.sqrt(len(values))
    return Comparison(
        simulated,
        error,
        expected,
        np.where(finite, found.z, np.inf),
        np.where(finite, "compared", "not finite"),
        evidence.Chain(point, np.zeros(values.shape), np.zeros(len(none)), False, 0.0),
        found.attainable,
        bounded=True,
    )


class Compared(NamedTuple):
    """The comparison of a chain's metric, with where it belongs.

    ``pool`` is what its chains are pooled with: those of its regime, or all mixtures of its grid.
    """

    spec: ChainSpec
    pool: str
    metric: str
    source: str
    comparison: Comparison


def compare_chains(
    chains: Iterable[ChainSpec], datasets: Mapping[str, xr.Dataset]
) -> list[Compared]:
    """Compare every metric of every chain for which there is an exact theory."""
    experiments: dict[str, list[ChainSpec]] = {}
    for spec in chains:
        experiments.setdefault(spec.experiment, []).append(spec)
    return [
        one
        for experiment, specs in experiments.items()
        for one in _compared(specs, datasets[experiment])
    ]


def _compared(specs: Sequence[ChainSpec], dataset: xr.Dataset) -> Iterator[Compared]:
    mixed = {spec.regime_name for grid in mixtures.grids(specs) for spec in grid.chains.values()}
    for spec in specs:
        pool = "mixtures" if spec.regime_name in mixed else spec.regime_name
        for metric, expectation in expectations(spec).items():
            if expectation.exact and metric in dataset:
                values = values_of(dataset, spec, metric)
                found = compare(values, expectation, spec.point)
                yield Compared(spec, pool, metric, expectation.source, found)
