"""The chains of an experiment as one xarray Dataset with named dimensions and its provenance."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from collapse import families
from collapse.artifacts import chain_file, remedies
from collapse.artifacts.files import DamagedFileError
from collapse.families import regime_metrics
from collapse.results import provenance

if TYPE_CHECKING:
    import xarray as xr


#: A chain: its value on every axis and its regime; its metrics, of shape (seeds, iterations) or
#: (seeds,); and its seeds.
Chain = tuple[Mapping[str, Any], chain_file.Metrics, Sequence[int]]

#: Attributes of a variable, in the order of its description.
ATTRIBUTES = ("long_name", "units", "comment")


def write(
    path: Path,
    *,
    chains: Sequence[tuple[Mapping[str, Any], str]],
    specifications: Sequence[Mapping[str, Any]],
    layout: Mapping[str, Any],
    study: Mapping[str, Any],
    project: Path,
) -> None:
    """Write the dataset of an experiment: its chains, with their provenance.

    A chain's file that fails its checksums is set aside, so that the next run makes it again.

    Raises
    ------
    DamagedFileError
        If a chain's file is damaged, or is not made of what its specification says.
    """
    for (_, chain), expected in zip(chains, specifications, strict=True):
        try:
            _, _, found = chain_file.read_chain(chain)
        except DamagedFileError:
            if Path(chain).exists():
                chain_file.set_aside(chain)
            raise
        if not chain_file.is_of(found, expected):
            differs = "; ".join(chain_file.differences(found, expected))
            found_other = f"found a chain of another study ({differs}), expected one of this study"
            raise remedies.damaged(chain, found_other)
    read = ((cell, *chain_file.read_chain(chain)[:2]) for cell, chain in chains)
    write_dataset(path, dataset(read, layout=layout, study=study, project=project))


def dataset(
    chains: Iterable[Chain],
    *,
    layout: Mapping[str, Any],
    study: Mapping[str, Any],
    project: Path,
) -> xr.Dataset:
    """Return the dataset of an experiment, described and with its provenance.

    Parameters
    ----------
    chains : iterable of Chain
    layout : mapping
        What `Study.layout` returns.
    study : mapping
        The experiment with all defaults, as plain values.
    project : path
        A folder of the checkout whose commit is noted.
    """
    coordinates = {key: value for key, value in layout.items() if key != "family"}
    return combine(
        chains,
        **coordinates,
        descriptions=descriptions(layout["family"]),
        attributes={
            "family": layout["family"],
            "study": study,
            **provenance.provenance(project),
        },
    )


def descriptions(name: str) -> dict[str, tuple[str, ...]]:
    """Return long names, units and comments of the variables and coordinates of a family."""
    family = families.load(name)
    metrics = {**family.metrics, **regime_metrics.METRICS}.items()
    return {
        **{key: (m.long_name, m.units, *filter(None, [m.comment])) for key, m in metrics},
        **{
            key: (str(field.description), "1")
            for key, field in family.parameters.model_fields.items()
        },
        "samples": ("samples per iteration, n", "1"),
        "iteration": ("model-fitting iteration, t", "1"),
        "seed": ("random seed", "1"),
        "regime": ("regime: what iteration t >= 2 trains on", "1"),
        "member": ("number of the model in its population", "1"),
        "members": ("number of models in the population of a regime", "1"),
    }


def combine(
    chains: Iterable[Chain],
    *,
    axes: Mapping[str, Sequence[Any]],
    regimes: Sequence[str],
    seeds: Sequence[int],
    iterations: Sequence[int],
    models: Mapping[str, int] | None = None,
    descriptions: Mapping[str, tuple[str, ...]],
    attributes: Mapping[str, Any],
) -> xr.Dataset:
    """Gather the chains of an experiment into one Dataset.

    Parameters
    ----------
    chains : iterable of Chain
    axes : mapping of str to sequence
        Parameter axes in order, each with all its values.
    regimes, seeds, iterations : sequence
        The other coordinates.
    models : mapping of str to int or None
        The number of models of each regime: 1 without a population; None if all have one.
    descriptions : mapping of str to tuple of str
        Long names, units and, if there are any, comments of variables and coordinates.
    attributes : mapping
        Attributes of the Dataset; values that are not strings are written as JSON.

    Returns
    -------
    xarray.Dataset
        Its dimensions are regime, the axes, seed and iteration; a metric that is one number
        per chain lacks the last. If a regime has a population, member is a dimension after seed,
        with NaN where a regime has fewer models than another.
    """
    import xarray as xr

    number = dict.fromkeys(regimes, 1) | dict(models or {})
    most = max(number.values())
    values = {"regime": list(regimes), **axes, "seed": list(seeds)}
    values |= {"member": list(range(most)), "iteration": list(iterations)}
    dimensions = list(values)
    shape = [len(entries) for entries in values.values()]
    variables: dict[str, NDArray[np.float64]] = {}
    for cell, metrics, found in chains:
        rows = [found.index(seed) for seed in seeds]
        index = tuple(values[axis].index(cell[axis]) for axis in ("regime", *axes))
        there = number[cell["regime"]]
        for name, array in metrics.items():
            array = array if there > 1 else array[:, None]
            whole = variables.setdefault(name, np.full(shape[: len(index) + array.ndim], np.nan))
            whole[index][:, :there] = array[rows]
    combined = xr.Dataset(
        {name: (dimensions[: array.ndim], array) for name, array in variables.items()},
        coords={name: (name, coordinate(list(entries))) for name, entries in values.items()},
        attrs={
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in attributes.items()
        },
    )
    if most == 1:
        combined = combined.isel(member=0, drop=True)
    else:
        combined.coords["members"] = "regime", [number[name] for name in regimes]
    for name, described in descriptions.items():
        if name in combined.variables:
            combined[name].attrs = dict(zip(ATTRIBUTES, described, strict=False))
    return combined


def coordinate(values: list[Any]) -> NDArray[Any]:
    """Return the values of an axis as numbers, or as text if any of them is not a number."""
    if any(value is None or isinstance(value, str | list) for value in values):
        return np.array([str(value) for value in values], dtype=object)
    return np.array(values)


def write_dataset(path: str | Path, gathered: xr.Dataset) -> None:
    """Write a Dataset as a NetCDF file that appears whole or not at all."""
    with chain_file.written(path) as partial:
        gathered.to_netcdf(partial, engine="netcdf4")
