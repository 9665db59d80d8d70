"""Pages: one figure for each combination of the parameters that a figure has no place for."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from collapse.study.names import JOINT, encoded

if TYPE_CHECKING:
    import xarray as xr


def parameters(dataset: xr.Dataset) -> list[str]:
    """Return the dimensions of a dataset that are parameters of points."""
    return [str(d) for d in dataset.dims if d not in ("regime", "seed", "iteration")]


def pages(dataset: xr.Dataset, placed: Collection[str | None]) -> Iterator[tuple[str, xr.Dataset]]:
    """Yield the part of a dataset for each page, after what its file's name ends with.

    ``placed`` are the parameters that a figure shows as rows, colours or along an axis. The others
    keep their dimension, of one value.
    """
    others = [name for name in parameters(dataset) if name not in placed]
    for values in itertools.product(*(dataset[name].values for name in others)):
        chosen = dict(zip(others, values, strict=True))
        varied = [
            f"{name}={encoded(str(value))}"
            for name, value in chosen.items()
            if dataset.sizes[name] > 1
        ]
        suffix = "".join(JOINT + part for part in varied)
        yield suffix, dataset.sel({name: [value] for name, value in chosen.items()})
