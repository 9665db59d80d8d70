"""Run and gather small experiments of closed-form families without Snakemake."""

import numpy as np
import xarray as xr

from collapse import families
from collapse.families import regime_metrics
from collapse.loop.closed_form import run_chain
from collapse.results.gather import combine, coordinate
from collapse.study import Study


def study(own=None, **experiment):
    """A study of one experiment, named loop, perhaps with regimes of its own."""
    plan = {"family": "gaussian", "iterations": 2, "seeds": 2, **experiment}
    return Study.model_validate({"experiments": {"loop": plan}, "regimes": own or {}})


def filled(plan, *metrics, value=7.0):
    """Return a dataset as `gather` would, of which all values are the same."""
    experiment = plan.experiments["loop"]
    axes = {
        "regime": plan.regimes_of("loop"),
        **experiment.all_axes,
        "seed": experiment.seed_list,
        "iteration": list(experiment.evaluated),
    }
    shape = [len(values) for values in axes.values()]
    return xr.Dataset(
        {metric: (list(axes), np.full(shape, value)) for metric in metrics},
        coords={name: (name, coordinate(list(values))) for name, values in axes.items()},
        attrs={"family": experiment.family},
    )


def gather(plan):
    """Run every chain of a study, and return the dataset that the workflow would gather."""
    experiment = plan.experiments["loop"]
    seeds = experiment.seed_list
    cells = [(spec.cell, run_chain(spec, seeds), seeds) for spec in plan.chains("loop")]
    metrics = {**families.load(experiment.family).metrics, **regime_metrics.METRICS}
    described = {name: (m.long_name, m.units) for name, m in metrics.items()}
    described |= {"iteration": ("model-fitting iteration, t", "1")}
    return combine(
        cells,
        axes=experiment.all_axes,
        regimes=plan.regimes_of("loop"),
        seeds=experiment.seed_list,
        iterations=experiment.evaluated,
        descriptions=described,
        attributes={"family": experiment.family},
    )
