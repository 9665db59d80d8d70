"""The figures of an experiment: of its regimes, mixtures, distributions and learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from collapse.plotting.portraits import IterationFile
from collapse.results import (
    distributions,
    learning_curves,
    mixture_figures,
    regime_figures,
    selection_figures,
    weight_figures,
)
from collapse.results.dataset import read_dataset
from collapse.study import Study, mixtures


def write(
    metrics: str,
    *,
    records: Sequence[tuple[tuple[str, str, int], str]],
    study: Mapping[str, Any],
    directory: Path,
) -> None:
    """Draw the figures of an experiment, each as PNG and SVG.

    The mixtures of a grid share their figures; other regimes are drawn side by side. ``records``
    are the training records of one seed, each with its point, regime and iteration.
    """
    parsed = Study.model_validate(study)
    experiment = Path(metrics).parent.name
    chains = list(parsed.chains(experiment))
    grids = mixtures.grids(chains)
    unmixed = mixtures.unmixed(grids, parsed.named_regimes_of(experiment))
    found = read_dataset(metrics)
    mixture_figures.draw(found, grids, directory)
    if unmixed:
        published = parsed.published_values
        regime_figures.draw(found.sel(regime=unmixed), chains, directory, published)
        distributions.draw(found.sel(regime=unmixed), directory)
        weight_figures.draw(found, chains, directory, published)
        selection_figures.draw(found, directory)
    curves = [IterationFile(*place, path) for place, path in records]
    learning_curves.draw([curve for curve in curves if curve.regime in unmixed], directory)
