"""Chains in closed form and their theory, as datasets in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from collapse import families
from collapse import study as studies
from collapse.families.declarations import Expectation
from collapse.loop import closed_form
from collapse.regimes import NAMED, Regime
from collapse.results import comparisons, gather
from collapse.study import Study
from collapse.study.errors import Mistake, StudyError, one_of, shown, shown_path

if TYPE_CHECKING:
    import xarray as xr

#: A regime: the name of one, or the fields of one as values or as a study has them.
OneRegime = str | Regime | Mapping[str, Any]

#: The folder of the checkout, unless the package is installed elsewhere.
_PROJECT = Path(__file__).parents[3]

#: The name of a regime that is given without one.
UNNAMED = "own"


def simulate(
    family: str,
    regime: OneRegime | Sequence[str] | Mapping[str, OneRegime] = "accumulate",
    *,
    samples: int | Sequence[int] = 100,
    iterations: int = 10,
    seeds: int | Sequence[int] = 10,
    experiment: str | None = None,
    evaluations: int | None = None,
    settings: Mapping[str, Any] | None = None,
    **parameters: Any,
) -> xr.Dataset:
    """Run the chains of a family in closed form, and return their metrics.

    The numbers are those of the workflow, to the last bit. A random stream is named by the
    experiment, the point, the regime, the seed, the iteration and its purpose, so the same
    numbers need the same names: `experiment`, the regimes' names, and those parameters in
    `parameters` that the study has in its ``grid``, and in `settings` those that it has there.

    Parameters
    ----------
    family : str
        A family that runs in closed form, such as ``"gaussian"``.
    regime : str, Regime, mapping, or several of them
        The name of a named regime or a list of such names; a regime's fields, as a
        `collapse.regimes.Regime` or as a study has them, where a list defines several regimes; or
        a mapping of names to any of these. A regime that is given without a name is ``"own"``.
    samples : int or sequence of int
        Number n of samples per iteration; several are an axis.
    iterations : int
        Number T of model-fitting iterations.
    seeds : int or sequence of int
        A number of seeds, which are 0, 1, ..., or the seeds themselves.
    experiment : str, optional
        Name of the experiment; by default that of the family with hyphens, as in the studies of the
        project.
    evaluations : int, optional
        Number of logarithmically spaced iterations to evaluate; by default all are.
    settings : mapping, optional
        Parameters of the family at one value each, which are no axis.
    **parameters
        Other parameters of the family, a value or a list each; each is an axis, in the order in
        which the family declares them.

    Returns
    -------
    xarray.Dataset
        The metrics of the family, as the workflow writes them into ``metrics.nc``: with the
        dimensions regime, parameters, samples, seed and iteration, units and provenance.

    Raises
    ------
    StudyError
        If there is a mistake in an argument; the message is one line.

    Examples
    --------
    >>> import collapse
    >>> found = collapse.simulate("gaussian", "replace", samples=20, iterations=5, seeds=3)
    >>> found.trace_ratio.sizes
    Frozen({'regime': 1, 'dimension': 1, 'variance': 1, 'samples': 1, 'seed': 3, 'iteration': 5})
    """
    keys = {"samples": samples, "iterations": iterations, "seeds": seeds, "settings": settings}
    keys |= {"evaluations": evaluations, "grid": parameters}
    plan, name = _study("simulate", family, regime, keys, experiment)
    seed_list = plan.experiments[name].seed_list

    def chains() -> Iterator[gather.Chain]:
        for spec in plan.chains(name):
            yield spec.cell, closed_form.run_chain(spec, seed_list), seed_list

    # As in a job of the workflow, so that sums in BLAS do not depend on the machine.
    with threadpool_limits(1):
        found = gather.dataset(
            chains(),
            layout=plan.layout(name),
            study=studies.resolved(plan, name),
            project=_PROJECT,
        )
    if not (_PROJECT / "Snakefile").is_file():  # installed, perhaps inside of another checkout
        found.attrs["git_commit"] = "unknown"
    return found


def expectation(
    family: str,
    regime: OneRegime | Sequence[str] | Mapping[str, OneRegime] = "accumulate",
    *,
    samples: int | Sequence[int] = 100,
    iterations: int = 10,
    evaluations: int | None = None,
    settings: Mapping[str, Any] | None = None,
    **parameters: Any,
) -> xr.Dataset:
    """Return what theory predicts of a family's metrics, for the arguments of `simulate`.

    Parameters
    ----------
    family, regime, samples, iterations, evaluations, settings, **parameters
        As those of `simulate`.

    Returns
    -------
    xarray.Dataset
        For each metric of which theory knows something for one of the chains, with the dimensions
        of `simulate` but seed, and NaN where it knows nothing:

        - ``<metric>``, the expected value. Its attribute ``source`` names the page and equation of
          the derivation.
        - ``<metric>_deviation``, the standard deviation over seeds, or a bound or scale of it.
        - ``<metric>_exact``, 1 where the expectation is exact and 0 where it is an approximation.
        - ``<metric>_of_first``, only if theory gives the expected difference from this multiple of
          the value that the same seed has at iteration 1.

    Raises
    ------
    StudyError
        If there is a mistake in an argument; the message is one line.
    """
    import xarray as xr

    keys = {"samples": samples, "iterations": iterations, "seeds": 1, "settings": settings}
    keys |= {"evaluations": evaluations, "grid": parameters}
    plan, name = _study("expectation", family, regime, keys)
    layout = plan.layout(name)
    axes = {"regime": layout["regimes"], **layout["axes"], "iteration": list(layout["iterations"])}
    shape = tuple(len(values) for values in axes.values())
    found: dict[str, NDArray[np.float64]] = {}
    sources: dict[str, dict[str, None]] = {}
    for spec in plan.chains(name):
        place = tuple(axes[axis].index(spec.cell[axis]) for axis in list(axes)[:-1])
        for metric, one in comparisons.expectations(spec).items():
            sources.setdefault(metric, {})[one.source] = None
            for variable, values in _parts(metric, one).items():
                dimensions = len(shape) if one.shape else len(shape) - 1
                whole = found.setdefault(variable, np.full(shape[:dimensions], np.nan))
                whole[place] = values
    expected = xr.Dataset(
        {key: (list(axes)[: values.ndim], values) for key, values in found.items()},
        coords={key: (key, gather.coordinate(values)) for key, values in axes.items()},
        attrs={"family": family},
    )
    for key, described in gather.descriptions(family).items():
        if key in expected.variables:
            expected[key].attrs = dict(zip(gather.ATTRIBUTES, described, strict=False))
    for metric, pages in sources.items():
        expected[metric].attrs["source"] = "; ".join(pages)
    return expected


def _parts(metric: str, one: Expectation) -> dict[str, Any]:
    """Return the variables of an expectation, each as values or one value."""
    bounds = {"lower": one.lower, "upper": one.upper}
    parts: dict[str, Any] = {
        metric: np.full(one.shape, np.nan) if one.mean is None else one.mean,
        f"{metric}_deviation": np.nan if one.deviation is None else one.deviation,
        f"{metric}_exact": float(one.exact),
        **{f"{metric}_{end}": each for end, each in bounds.items() if each is not None},
    }
    return parts if one.of_first is None else {**parts, f"{metric}_of_first": one.of_first}


def _study(
    caller: str, family: str, regime: Any, keys: Mapping[str, Any], experiment: str | None = None
) -> tuple[Study, str]:
    """Return a study of one experiment, whose keys the arguments are, and the experiment's name."""
    known = [each for each in families.MODULES if families.load(each).closed_form is not None]
    if family not in known:
        expected = one_of(known, family)
        raise StudyError(f"{caller}: family: found {shown(family)}, expected {expected}")
    name = family.replace("_", "-") if experiment is None else experiment
    regimes, defined = _regimes(caller, regime)
    described = {"family": family, "regimes": regimes, **_plain(keys)}
    described["settings"] = described["settings"] or {}

    def error(mistake: Mistake) -> StudyError:
        path = mistake.path
        if path[0] == "experiments":
            path = path[3:] if path[2:3] == ("grid",) and path[3:] else path[2:]
        where = shown_path(("", *path)).removeprefix("''.") if path else "experiment"
        found = f"found {shown(mistake.found)}, expected {mistake.expected}"
        return StudyError(f"{caller}: {where}: {found}")

    content = {"experiments": {name: described}, "regimes": defined}
    return studies.checked(content, error), name


def _regimes(caller: str, given: Any) -> tuple[list[Any], dict[str, Any]]:
    """Return the names of regimes, and the definitions of those that are not named ones."""
    if isinstance(given, str):
        return [given], {}
    if isinstance(given, Regime) or (isinstance(given, Mapping) and _is_definition(given)):
        given = {UNNAMED: given}
    if not isinstance(given, Mapping):
        return list(given), {}
    defined = {}
    for name, one in given.items():
        fields = NAMED.get(one) if isinstance(one, str) else one
        if fields is None:
            raise StudyError(
                f"{caller}: regime: {name}: found {shown(one)}, expected {one_of(NAMED, one)}"
            )
        # A name of the project may stand for its own regime, and for no other.
        if name in NAMED and fields in (NAMED[name], name):
            continue
        defined[name] = _plain(fields)
    return list(given), defined


def _is_definition(given: Mapping[str, Any]) -> bool:
    """Tell whether a mapping holds the fields of a regime, and not regimes by their names."""
    return any(key in Regime.model_fields for key in given) or not given


def _plain(value: Any) -> Any:
    """Return an argument as a study file would have it, without numpy's types."""
    if isinstance(value, Regime):
        return value.model_dump(mode="json", exclude_unset=True)
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(each) for each in value]
    return value
