"""The closed-form chains that one job runs: those of a point, if they are short, or else one."""

from __future__ import annotations

from collections.abc import Sequence

from collapse import families
from collapse.artifacts import chain_file
from collapse.study import Study
from collapse.study.chain_spec import ChainSpec

#: Seconds of the reference core below which one job runs all chains of a point. A job takes about a
#: second to start; longer chains are jobs of their own, so that all cores have work.
SHORT = 30.0


def batches(study: Study, experiment: str) -> dict[str, list[ChainSpec]]:
    """Return the chains of each job of a closed-form experiment, by the path of its record.

    A new point, regime or seed concerns no job of other points.
    """
    points: dict[str, list[ChainSpec]] = {}
    for spec in study.chains(experiment):
        points.setdefault(spec.point, []).append(spec)
    seeds = len(study.experiments[experiment].seed_list)
    found: dict[str, list[ChainSpec]] = {}
    for point, specs in points.items():
        folder = f"results/{experiment}/{point}"
        if seeds * sum(map(chain_seconds, specs)) < SHORT:
            found[f"{folder}/chains.json"] = specs
        else:
            found |= {f"{folder}/{spec.regime_name}/chain.json": [spec] for spec in specs}
    return found


def chain_seconds(spec: ChainSpec) -> float:
    """Estimate the seconds of the reference core of a closed-form chain for each seed."""
    family = families.load(spec.family)
    if family.closed_form is None:
        raise TypeError(f"the family {family.name} does not run in closed form")
    parameters = family.parameters(**spec.parameters)
    regime, n = spec.regime, spec.samples
    trained = regime.training_sizes(spec.iterations, n)
    whole = regime.trains_on_whole_pools
    if regime.select is not None:  # candidates are samples, which cost like those of a budget
        each, whole = regime.select.least_candidates, False
        trained = [size + each * regime.generated(t, n) for t, size in enumerate(trained, start=2)]
    of_model = family.closed_form.seconds(parameters, trained, len(spec.evaluated), whole)
    return regime.models * of_model


def chain_path(spec: ChainSpec) -> str:
    """Return the path of a chain's results."""
    return f"results/{spec.experiment}/{spec.point}/{spec.regime_name}.nc"


def missing_seeds(spec: ChainSpec, version: int, seeds: Sequence[int]) -> list[int]:
    """Return those seeds that are not in the file of a closed-form chain."""
    there = chain_file.seeds_of(chain_path(spec), {**spec.as_dict(), "version": version})
    return [seed for seed in seeds if seed not in there]
