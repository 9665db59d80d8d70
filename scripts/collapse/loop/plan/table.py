"""An estimate of what a study costs: jobs, core-hours, GPU-hours and bytes."""

from __future__ import annotations

from typing import NamedTuple

from collapse import families
from collapse.artifacts.paths import Branch
from collapse.families.declarations import SampleCost
from collapse.loop.branches import Branches
from collapse.study import Study, mixtures
from collapse.study.chain_spec import ChainSpec

#: Core-seconds that any job takes to start Python, import modules and write files.
OVERHEAD = 1.0
#: Bytes of a number in a result file, and of everything else in the file.
NUMBER, FILE = 8, 20_000

#: Assumed floating-point operations per second of a GPU in training and in sampling; an estimate
#: is inversely proportional to them.
TRAINING, SAMPLING = 2e14, 1e13
#: Seconds that a step on a GPU takes to import modules, load its model and, in generation, start
#: vLLM.
START_UP = {"prepare": 5.0, "train": 10.0, "generate": 60.0, "evaluate": 10.0}


class Cost(NamedTuple):
    """The cost of an experiment.

    ``start_up`` is the part of the GPU-hours in which steps start up. ``gpu_memory`` is the bytes
    that the largest training needs on each GPU, or 0 if no estimate is known.
    """

    jobs: int
    core_hours: float
    gpu_hours: float
    start_up: float
    bytes: float
    gpu_memory: float = 0.0


def cost(study: Study, name: str) -> Cost:
    """Estimate the cost of an experiment, with the jobs that gather, draw and tabulate results."""
    experiment = study.experiments[name]
    family = families.load(experiment.family)
    numbers = sum(
        len(experiment.evaluated) if one.per_iteration else 1 for one in family.metrics.values()
    )
    chains = list(study.chains(name))
    # Each number is in its chain's file and in the gathered dataset.
    after = 2 + mixtures.among(study, name)
    size = len(chains) * (2 * len(experiment.seed_list) * numbers * NUMBER + FILE)
    if experiment.by_iteration:
        steps = _steps_cost(study, name)
        iterative = family.by_steps
        tables = iterative.writes_text and Branches(study, name).evaluates_samples
        jobs = steps.jobs + len(chains) + after + tables + (iterative.pictures is not None)
        return steps._replace(jobs=jobs, bytes=steps.bytes + size)
    seconds = 10 * OVERHEAD
    for spec in chains:
        seconds += OVERHEAD + len(experiment.seed_list) * chain_seconds(spec)
    return Cost(len(chains) + after, seconds / 3600, 0.0, 0.0, size)


def chain_seconds(spec: ChainSpec) -> float:
    """Estimate the core-seconds that a closed-form chain takes for each seed."""
    family = families.load(spec.family)
    if family.closed_form is None:
        raise TypeError(f"the family {family.name} does not run in closed form")
    parameters = family.parameters(**spec.parameters)
    regime, n = spec.regime, spec.samples
    pools = regime.pool_sizes(spec.iterations, n)
    trained = [regime.training_size(t, n, size) for t, size in enumerate(pools, start=1)]
    whole = regime.trains_on_whole_pools
    return family.closed_form.seconds(parameters, trained, len(spec.evaluated), whole)


def _steps_cost(study: Study, name: str) -> Cost:
    """Estimate the cost of all steps of an experiment; chains that share a file count it once."""
    branches = Branches(study, name)
    experiment = branches.experiment
    iterative = branches.family.by_steps
    files: dict[str, tuple[str, float, float]] = {}
    for branch in branches.all():
        each = iterative.cost(branches.parameters(branch.points.later))
        if (base := branches.base(branch.points.data)) is not None:
            files[str(base)] = ("base", 0.0, each.model_bytes)
        if iterative.has_dataset:
            files[branch.data] = ("prepare", 0.0, branch.samples * each.sample_bytes)
        pools = branch.regime.pool_sizes(experiment.iterations, branch.samples)
        for t, pool in enumerate(pools, start=1):
            trained = branch.regime.training_size(t, branch.samples, pool)
            files |= _iteration(
                branch, t, trained, each, t in experiment.evaluated, experiment.iterations
            )
    gpu = iterative.wants_gpu
    seconds = sum(one for _, one, _ in files.values())
    start_up = sum(START_UP.get(step, 0.0) for step, _, _ in files.values()) if gpu else 0.0
    core = OVERHEAD * len(files) / 3600
    kept = experiment.keep_models == "all"
    size = sum(one for step, _, one in files.values() if kept or step != "train")
    return Cost(
        len(files), core, (seconds + start_up) / 3600, start_up / 3600, size, _gpu_memory(branches)
    )


def _gpu_memory(branches: Branches) -> float:
    """Estimate the bytes that the largest training of an experiment needs on each GPU."""
    estimate = branches.family.by_steps.training_memory
    points = {branch.points.later for branch in branches.all()}
    found = (estimate(branches.parameters(point), branches.experiment.gpus) for point in points)
    return max((one for one in found if one is not None), default=0.0)


def _iteration(
    branch: Branch, t: int, trained: int, each: SampleCost, evaluated: bool, last: int
) -> dict[str, tuple[str, float, float]]:
    """Return the step, the GPU-seconds and the bytes of each output of an iteration, by path."""
    seconds = trained * each.train_flops / TRAINING
    files = {
        branch.training_set(t): ("assemble", 0.0, 1000.0),
        branch.model(t): ("train", seconds, each.model_bytes),
    }
    shards = branch.shards(t) if t < last else []
    if evaluated:
        shards = shards + branch.evaluated_shards(t)
        files[branch.metrics(t)] = ("evaluate", 0.0, 1000.0)
    for shard in shards:
        count = shard.stop - shard.start
        drawn = count * each.generate_flops / SAMPLING
        files[shard.path] = ("generate", drawn, count * each.sample_bytes)
    return files


def render(study: Study) -> str:
    """Render the plan of a study as a table for the terminal."""
    costs = {name: cost(study, name) for name in study.experiments}
    total = Cost(*(sum(column) for column in zip(*costs.values(), strict=True)))
    total = total._replace(gpu_memory=max(one.gpu_memory for one in costs.values()))
    # The rules theory_check, summary and published have one job each for the whole study.
    published = any(families.load(each.family).published for each in study.experiments.values())
    costs["total"] = total._replace(jobs=total.jobs + 2 + published)
    width = max(map(len, costs))
    heads = f"{'experiment':<{width}}  {'jobs':>7}  {'core-hours':>10}"
    neural = total.gpu_hours > 0
    if neural:
        heads += f"  {'GPU-hours':>9}  {'start-up':>8}  {'GPU memory':>10}"
    lines = [f"{heads}  {'size':>9}"]
    for name, one in costs.items():
        line = f"{name:<{width}}  {one.jobs:>7}  {one.core_hours:>10.2f}"
        if neural:
            taken = _size(one.gpu_memory) if one.gpu_memory else "-"
            line += f"  {one.gpu_hours:>9.2f}  {one.start_up:>8.2f}  {taken:>10}"
        lines.append(f"{line}  {_size(one.bytes):>9}")
    if neural:
        lines.append(
            f"\nGPU-hours assume {TRAINING:.0e} operations per second in training and "
            f"{SAMPLING:.0e} in sampling.\nThey include start-up, in which steps import modules, "
            "load models and start vLLM. GPU memory\nis what the largest training needs on each "
            "GPU; the allocator takes about a tenth more."
        )
    return "\n".join(lines) + "\n"


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
