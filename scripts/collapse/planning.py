"""What a study costs before it runs: jobs, core-hours and bytes."""

from __future__ import annotations

from typing import NamedTuple

from collapse import families
from collapse.chain import ChainSpec
from collapse.study import Study

#: Core-seconds that any job costs: starting Python, importing, writing.
OVERHEAD = 1.0
#: Bytes of a number in a result file, and of a file besides its numbers.
NUMBER, FILE = 8, 20_000


class Cost(NamedTuple):
    """Cost of an experiment."""

    jobs: int
    core_hours: float
    bytes: int


def cost(study: Study, experiment: str) -> Cost:
    """Estimate an experiment: its chains, and the jobs that gather and draw them."""
    plan = study.experiments[experiment]
    seeds = len(plan.seed_list)
    metrics = families.load(plan.family).METRICS.values()
    numbers = sum(len(plan.evaluated) if one.per_iteration else 1 for one in metrics)
    jobs, seconds = 2, 10 * OVERHEAD
    for spec in study.chains(experiment):
        jobs += 1
        seconds += OVERHEAD + seeds * chain_seconds(spec)
    # Each number is in its chain's file and in the gathered dataset.
    size = (jobs - 2) * (2 * seeds * numbers * NUMBER + FILE)
    return Cost(jobs, seconds / 3600, size)


def chain_seconds(spec: ChainSpec) -> float:
    """Estimate the core-seconds of one seed of a chain."""
    family = families.load(spec.family)
    parameters = family.Parameters(**spec.parameters)
    regime, n = spec.regime, spec.samples
    pools = regime.pool_sizes(spec.iterations, n)
    trained = [regime.training_size(t, n, size) for t, size in enumerate(pools, start=1)]
    whole = regime.budget is None
    seconds: float = family.seconds(parameters, trained, len(spec.evaluated), whole)
    return seconds


def render(study: Study) -> str:
    """Render the plan of a study as a table for the terminal."""
    costs = {name: cost(study, name) for name in study.experiments}
    total = Cost(*(sum(column) for column in zip(*costs.values(), strict=True)))
    # The comparison with theory and the summary are jobs of the whole study.
    costs["total"] = total._replace(jobs=total.jobs + 2)
    width = max(map(len, costs))
    lines = [f"{'experiment':<{width}}  {'jobs':>7}  {'core-hours':>10}  {'size':>9}"]
    for name, one in costs.items():
        lines.append(
            f"{name:<{width}}  {one.jobs:>7}  {one.core_hours:>10.2f}  {_size(one.bytes):>9}"
        )
    return "\n".join(lines) + "\n"


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
