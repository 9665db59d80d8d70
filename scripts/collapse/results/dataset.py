"""Reading the dataset of an experiment, and the values of one chain from it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from collapse.artifacts import chain_file
from collapse.study.chain_spec import ChainSpec

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.float64]


def read_dataset(path: str | Path) -> xr.Dataset:
    """Read the dataset of an experiment into memory; raise errors as `chain_file.opened` does.

    Of populations, metrics are means over the models of each seed.
    """
    import xarray as xr

    with chain_file.opened(path) as stored:
        store = xr.backends.NetCDF4DataStore(stored)  # type: ignore[no-untyped-call]
        found = xr.open_dataset(store).load()
    return mean_of_members(found) if "member" in found.dims else found


def mean_of_members(dataset: xr.Dataset) -> xr.Dataset:
    """Return the means over the models of populations; a regime may have fewer than another."""
    there = dataset["member"] < dataset["members"]
    means = {
        name: array.where(there, 0).sum("member", skipna=False) / dataset["members"]
        for name, array in dataset.data_vars.items()
    }
    for name, array in dataset.data_vars.items():
        means[name] = means[name].transpose(*(dim for dim in array.dims if dim != "member"))
        means[name].attrs = array.attrs
    found = dataset.drop_vars(list(means)).drop_dims("member").drop_vars("members")
    return found.assign(means)


def values_of(dataset: xr.Dataset, spec: ChainSpec, metric: str) -> Array:
    """Return a chain's metric: (seeds, iterations), or (seeds,) if it is one number per chain."""
    cell = {"regime": spec.regime_name, "samples": spec.samples, **spec.parameters}
    array = dataset[metric].sel(
        {
            name: value if dataset[name].dtype.kind in "biuf" else str(value)
            for name, value in cell.items()
            if name in dataset.dims
        }
    )
    found: Array = array.values
    return found
