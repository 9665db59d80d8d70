"""Results as NetCDF: one file per chain, one xarray Dataset per experiment.

A chain's file is written with netCDF4 alone (importing xarray takes longer than most
chains); everything downstream of `gather` is xarray with named dimensions.
"""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import netCDF4
import numpy as np
from numpy.typing import NDArray

from collapse.artifacts import files
from collapse.artifacts.files import DamagedFileError

if TYPE_CHECKING:
    import xarray as xr

Metrics = Mapping[str, NDArray[np.float64]]

#: Packages whose versions the numbers may depend on.
PACKAGES = ("numpy", "scipy", "xarray", "netCDF4", "pydantic", "snakemake")


def write_chain(
    path: str | Path,
    metrics: Metrics,
    *,
    seeds: Sequence[int],
    iterations: Sequence[int],
    identity: Mapping[str, Any],
) -> None:
    """Write the metrics of one chain.

    Parameters
    ----------
    path : path
        Where to; the file appears whole or not at all.
    metrics : mapping of str to ndarray
        Arrays of shape (seeds, iterations) or (seeds,).
    seeds, iterations : sequence of int
        Coordinates; iterations are those evaluated.
    identity : mapping
        All that the numbers depend on besides the seeds, as plain values.
    """
    with _written(path) as partial, netCDF4.Dataset(partial, "w") as dataset:
        dataset.setncattr("identity", json.dumps(identity, sort_keys=True))
        for name, values in (("seed", seeds), ("iteration", iterations)):
            dataset.createDimension(name, len(values))
            dataset.createVariable(name, "i8", (name,), fletcher32=True)[:] = values
        for name, array in metrics.items():
            dimensions = ("seed", "iteration")[: array.ndim]
            dataset.createVariable(name, "f8", dimensions, fletcher32=True)[:] = array


def read_chain(
    path: str | Path,
) -> tuple[dict[str, NDArray[np.float64]], list[int], dict[str, Any]]:
    """Read what `write_chain` wrote: metrics, seeds and identity.

    Raises
    ------
    DamagedFileError
        If the file is truncated, fails a checksum, or lacks what a chain's file has.
    """
    try:
        with netCDF4.Dataset(path) as dataset:
            dataset.set_auto_mask(False)
            identity = json.loads(dataset.getncattr("identity"))
            arrays = {name: variable[:] for name, variable in dataset.variables.items()}
        seeds = [int(seed) for seed in arrays.pop("seed")]
        del arrays["iteration"]
    except (OSError, RuntimeError, AttributeError, KeyError, ValueError) as error:
        raise DamagedFileError(f"{path}: damaged ({' '.join(str(error).split())})") from None
    return arrays, seeds, identity


def is_damaged(path: str | Path) -> bool:
    """Tell whether an existing NetCDF file can't be opened; a truncated one can't."""
    try:
        netCDF4.Dataset(path).close()
    except (OSError, RuntimeError):
        return True
    return False


def set_aside(path: str | Path) -> None:
    """Rename a damaged file, out of the way of the one that will be made again."""
    Path(path).replace(f"{path}.damaged")


def gather(
    chains: Iterable[tuple[Mapping[str, Any], str | Path]],
    *,
    axes: Mapping[str, Sequence[Any]],
    regimes: Sequence[str],
    seeds: Sequence[int],
    iterations: Sequence[int],
    descriptions: Mapping[str, tuple[str, str]],
    attributes: Mapping[str, Any],
) -> xr.Dataset:
    """Gather the chains of an experiment into one Dataset.

    Parameters
    ----------
    chains : iterable of (cell, path)
        A cell gives the value on every axis, and the regime.
    axes : mapping of str to sequence
        Parameter axes in order, each with all its values.
    regimes, seeds, iterations : sequence
        The other coordinates.
    descriptions : mapping of str to (long_name, units)
        Of variables and coordinates.
    attributes : mapping
        Attributes of the Dataset; what is not a string is written as JSON.

    Returns
    -------
    xarray.Dataset
        Dimensions regime, the axes, seed, iteration; variables without the last where a
        metric is one number per chain.
    """
    import xarray as xr

    dimensions = ["regime", *axes, "seed", "iteration"]
    values = {"regime": list(regimes), **axes, "seed": list(seeds), "iteration": list(iterations)}
    shape = [len(values[dimension]) for dimension in dimensions]
    variables: dict[str, NDArray[np.float64]] = {}
    for cell, path in chains:
        metrics, found, _ = read_chain(path)
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
    for name, (long_name, units) in descriptions.items():
        if name in dataset.variables:
            dataset[name].attrs = {"long_name": long_name, "units": units}
    return dataset


def coordinate(values: list[Any]) -> NDArray[Any]:
    """Return the values of an axis as one type: text where not all of them are numbers."""
    if any(value is None or isinstance(value, str) for value in values):
        return np.array([str(value) for value in values], dtype=object)
    return np.array(values)


def write_dataset(path: str | Path, dataset: xr.Dataset) -> None:
    """Write a Dataset as NetCDF, whole."""
    with _written(path) as partial:
        dataset.to_netcdf(partial, engine="netcdf4")


@contextmanager
def _written(path: str | Path) -> Iterator[Path]:
    """Write a NetCDF file whole; HDF5 reports a full disk as nothing like it."""
    try:
        with files.whole(path) as partial:
            yield partial
    except (RuntimeError, PermissionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OSError(f"{path}: can't be written ({reason}); is the disk full?") from None


def provenance(directory: str | Path) -> dict[str, str]:
    """Versions of what the numbers may depend on, and the git commit of a checkout."""
    from collapse import __version__

    versions = {"collapse_version": __version__, "python_version": platform.python_version()}
    for package in PACKAGES:
        versions[f"{package.lower()}_version"] = metadata.version(package)
    return {**versions, "git_commit": git_commit(directory)}


def git_commit(directory: str | Path) -> str:
    """Return the commit of a checkout, with ``-dirty`` if it was changed; else ``unknown``."""
    command = [
        "git",
        "-C",
        str(directory),
        "describe",
        "--always",
        "--dirty",
        "--abbrev=40",
        "--exclude=*",
    ]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return found.stdout.strip()
