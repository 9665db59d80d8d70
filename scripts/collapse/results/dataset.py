"""Reading the values of one chain from the dataset of its experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from collapse.study.chain_spec import ChainSpec

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.float64]


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
