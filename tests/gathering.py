"""Run and gather small experiments of closed-form families without Snakemake."""

from collapse import families
from collapse.artifacts import chain_file
from collapse.loop.closed_form import run_chain
from collapse.results.gather import combine
from collapse.study import Study


def study(experiment, regimes=None):
    """Return a study of one experiment, which is named loop."""
    return Study.model_validate({"experiments": {"loop": experiment}, "regimes": regimes or {}})


def gather(plan, directory):
    """Run every chain of a study, and return the dataset that the workflow would gather."""
    experiment, cells = plan.experiments["loop"], []
    for index, spec in enumerate(plan.chains("loop")):
        path = directory / f"{index}.nc"
        chain_file.write_chain(
            path,
            run_chain(spec, experiment.seed_list),
            seeds=experiment.seed_list,
            iterations=spec.evaluated,
            identity={},
        )
        cell = {"regime": spec.regime_name, **spec.parameters, "samples": spec.samples}
        cells.append((cell, path))
    metrics = families.load(experiment.family).metrics
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
