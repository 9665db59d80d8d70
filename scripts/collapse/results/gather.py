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
    family = families.load(layout["family"])
    descriptions: dict[str, tuple[str, ...]] = {
        name: (m.long_name, m.units, *filter(None, [m.comment]))
        for name, m in {**family.metrics, **regime_metrics.METRICS}.items()
    }
    for name, field in family.parameters.model_fields.items():
        descriptions[name] = (str(field.description), "1")
    descriptions |= {
        "samples": ("samples per iteration, n", "1"),
        "iteration": ("model-fitting iteration, t", "1"),
        "seed": ("random seed", "1"),
        "regime": ("regime: what iteration t >= 2 trains on", "1"),
    }
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
    attributes = {
        "family": layout["family"],
        "study": study,
        **provenance.provenance(project),
    }
    dataset = combine(
        chains,
        axes=layout["axes"],
        regimes=layout["regimes"],
        seeds=layout["seeds"],
        iterations=layout["iterations"],
        descriptions=descriptions,
        attributes=attributes,
    )
    write_dataset(path, dataset)


def combine(
    chains: Iterable[tuple[Mapping[str, Any], str | Path]],
    *,
    axes: Mapping[str, Sequence[Any]],
    regimes: Sequence[str],
    seeds: Sequence[int],
    iterations: Sequence[int],
    descriptions: Mapping[str, tuple[str, ...]],
    attributes: Mapping[str, Any],
) -> xr.Dataset:
    """Gather the chains of an experiment into one Dataset.

    Parameters
    ----------
    chains : iterable of (cell, path)
        A cell gives the chain's value on every axis, and its regime.
    axes : mapping of str to sequence
        Parameter axes in order, each with all its values.
    regimes, seeds, iterations : sequence
        The other coordinates.
    descriptions : mapping of str to tuple of str
        Long names, units and, if there are any, comments of variables and coordinates.
    attributes : mapping
        Attributes of the Dataset; values that are not strings are written as JSON.

    Returns
    -------
    xarray.Dataset
        Its dimensions are regime, the axes, seed and iteration; a metric that is one number
        per chain lacks the last.
    """
    import xarray as xr

    dimensions = ["regime", *axes, "seed", "iteration"]
    values = {"regime": list(regimes), **axes, "seed": list(seeds), "iteration": list(iterations)}
    shape = [len(values[dimension]) for dimension in dimensions]
    variables: dict[str, NDArray[np.float64]] = {}
    for cell, path in chains:
        metrics, found, _ = chain_file.read_chain(path)
        rows = [found.index(seed) for seed in seeds]
        index = tuple(values[dimension].index(cell[dimension]) for dimension in dimensions[:-2])
        for name, array in metrics.items():
            whole = variables.setdefault(
                name, np.full(shape[: len(shape) - 2 + array.ndim], np.nan)
            )
            whole[index] = array[rows]
    dataset = xr.Dataset(
        {name: (dimensions[: array.ndim], array) for name, array in variables.items()},
        coords={name: (name, coordinate(list(entries))) for name, entries in values.items()},
        attrs={
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in attributes.items()
        },
    )
    for name, described in descriptions.items():
        if name in dataset.variables:
            dataset[name].attrs = dict(zip(ATTRIBUTES, described, strict=False))
    return dataset


def coordinate(values: list[Any]) -> NDArray[Any]:
    """Return the values of an axis as numbers, or as text if any of them is not a number."""
    if any(value is None or isinstance(value, str) for value in values):
        return np.array([str(value) for value in values], dtype=object)
    return np.array(values)


def write_dataset(path: str | Path, dataset: xr.Dataset) -> None:
    """Write a Dataset as a NetCDF file that appears whole or not at all."""
    with chain_file.written(path) as partial:
        dataset.to_netcdf(partial, engine="netcdf4")
