"""The file of a chain: a NetCDF file with its metrics for all seeds.

It is written and read with netCDF4 alone, because importing xarray takes longer than most chains.
"""

from __future__ import annotations

import errno
import fcntl
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
from numpy.typing import NDArray

from collapse.artifacts import files, remedies
from collapse.artifacts.files import DamagedFileError, UnreadableFileError

Metrics = Mapping[str, NDArray[np.float64]]


def write_chain(
    path: str | Path,
    metrics: Metrics,
    *,
    seeds: Sequence[int],
    iterations: Sequence[int],
    identity: Mapping[str, Any],
    models: int = 1,
) -> None:
    """Write the metrics of one chain.

    Parameters
    ----------
    path : path
        The file to write; it appears whole or not at all.
    metrics : mapping of str to ndarray
        Arrays of shape (seeds, iterations) or (seeds,); of a population (seeds, models, ...).
    seeds, iterations : sequence of int
        Coordinates of the arrays; the iterations are those that were evaluated.
    identity : mapping
        Everything that the numbers depend on besides the seeds, as plain values.
    models : int
        Number of models of a population; 1 without one.
    """
    with written(path) as partial, netCDF4.Dataset(partial, "w") as dataset:
        dataset.setncattr("identity", json.dumps(identity, sort_keys=True))
        for name, values in (("seed", seeds), ("iteration", iterations)):
            dataset.createDimension(name, len(values))
            dataset.createVariable(name, "i8", (name,), fletcher32=True)[:] = values
        axes = ["seed"]
        if models > 1:
            dataset.createDimension("member", models)
            axes.append("member")
        for name, array in metrics.items():
            dimensions = (*axes, "iteration")[: array.ndim]
            dataset.createVariable(name, "f8", dimensions, fletcher32=True)[:] = array


def read_chain(
    path: str | Path,
) -> tuple[dict[str, NDArray[np.float64]], list[int], dict[str, Any]]:
    """Return the metrics, seeds and identity that `write_chain` wrote.

    Raises
    ------
    DamagedFileError
        If the file is missing, truncated, fails a checksum, or lacks a part of a chain's file.
    UnreadableFileError
        If the file is locked, or the system doesn't let it be read.
    """
    with opened(path) as dataset:
        dataset.set_auto_mask(False)
        identity = json.loads(dataset.getncattr("identity"))
        arrays = {name: variable[:] for name, variable in dataset.variables.items()}
        seeds = [int(seed) for seed in arrays.pop("seed")]
        del arrays["iteration"]
    return arrays, seeds, identity


def seeds_of(path: str | Path, identity: Mapping[str, Any]) -> list[int]:
    """Return the seeds in the file of a chain; empty without a file of this identity."""
    if not Path(path).exists():
        return []
    try:
        with opened(path) as dataset:
            same = is_of(json.loads(dataset.getncattr("identity")), identity)
            return [int(seed) for seed in dataset["seed"][:]] if same else []
    except (DamagedFileError, UnreadableFileError):  # the job will tell
        return []


def is_of(written: Mapping[str, Any], identity: Mapping[str, Any]) -> bool:
    """Tell whether the identity in a chain's file is this one.

    They are compared as JSON, in which tuples become lists and numpy scalars numbers.
    """
    return bool(written == json.loads(json.dumps(identity)))


def identity_of(path: str | Path) -> dict[str, Any]:
    """Return the identity in the file of a chain; raise `DamagedFileError` if it has none."""
    return read_chain(path)[2]


def differences(found: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    """Say in which parts the identity in a chain's file differs from the one that is expected."""
    plain = json.loads(json.dumps(expected))
    return [
        f"{key} {found.get(key, 'nothing')} -> {plain.get(key, 'nothing')}"
        for key in dict.fromkeys([*plain, *found])
        if found.get(key) != plain.get(key)
    ]


@contextmanager
def opened(path: str | Path) -> Iterator[netCDF4.Dataset]:
    """Open a NetCDF file for reading; whatever goes wrong with it is an error of one line.

    The bytes are read first and opened in memory, because NetCDF reports a lock or a failing disk
    by the same number as a truncated file.

    Raises
    ------
    DamagedFileError
        If the file is missing, or HDF5 refuses its contents, now or while the block reads them.
    UnreadableFileError
        If the file is locked, or the system doesn't let it be read.
    """
    with (
        remedies.reading(path),
        netCDF4.Dataset(Path(path).name, memory=_contents(path)) as dataset,
    ):
        yield dataset


def _contents(path: str | Path) -> bytes:
    with open(path, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # as HDF5 does
        except BlockingIOError:
            reason = "another process has it open for writing"
            raise OSError(errno.EAGAIN, reason, str(path)) from None
        except OSError:  # this file system has no locks
            pass
        return file.read()


def check(path: str | Path) -> None:
    """Open an existing NetCDF file, and raise an error as `opened` does."""
    with opened(path):
        pass


def set_aside(path: str | Path) -> None:
    """Rename a damaged file, so that the next run makes it again."""
    Path(path).replace(f"{path}.damaged")


@contextmanager
def written(path: str | Path) -> Iterator[Path]:
    """Yield a path for a NetCDF file that appears whole; an error of HDF5 becomes an OSError."""
    try:
        with files.whole(path) as partial:
            yield partial
    except (RuntimeError, PermissionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OSError(f"{path}: can't be written ({reason}); is the disk full?") from None
