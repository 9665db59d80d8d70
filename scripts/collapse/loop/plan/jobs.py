"""The jobs of a study, with the work of each and what it waits for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from collapse import families
from collapse.artifacts.paths import Branch, Shard
from collapse.families.work import Work, Workload
from collapse.loop.batches import batches, chain_path, chain_seconds
from collapse.loop.blocks import candidates
from collapse.loop.branches import Branches
from collapse.study import Study, mixtures

#: Bytes of a number in a result file, and of everything else in the file, or of a record.
NUMBER, FILE, RECORD = 8, 20_000, 1000

#: Seconds of the reference core that figures and pictures take for each file, and tables for each
#: experiment.
FIGURE, PICTURES, TABLE = 0.45, 4.0, 0.2


@dataclass(frozen=True)
class Step:
    """A step of a job: its rule, its work, and the libraries that it imports.

    ``vllm`` tells whether vLLM may do it on a GPU.
    """

    rule: str
    work: Work = field(default_factory=Work)
    libraries: Sequence[str] = ()
    vllm: bool = False


@dataclass(frozen=True)
class Job:
    """A job of a study, with one step or several in one process.

    Attributes
    ----------
    experiment : str
        The experiment that it belongs to; empty for the whole study.
    steps : sequence of Step
        What it does.
    needs : sequence of str
        The outputs that it waits for.
    gpus : int
        Number of GPUs that it asks for where there are any.
    size : float
        Bytes that it writes and that are kept.
    block : str
        Jobs with the same block are one job; empty for a job of its own.
    """

    experiment: str
    steps: Sequence[Step]
    needs: Sequence[str] = ()
    gpus: int = 0
    size: float = 0.0
    block: str = ""

    @property
    def libraries(self) -> set[str]:
        """The libraries that its process imports."""
        return {name for step in self.steps for name in step.libraries}


def of_study(study: Study, holds: Mapping[str, str] | None = None) -> dict[str, Job]:
    """Return the jobs of a study by their first outputs.

    Parameters
    ----------
    study : Study
    holds : mapping of str to str
        What a job of an experiment by steps holds: ``step`` (the default), ``iteration``, or
        ``chain``.
    """
    found: dict[str, Job] = {}
    for name in study.experiments:
        # An output that experiments or chains share is made once.
        for output, job in _of_experiment(study, name, (holds or {}).get(name, "step")):
            found.setdefault(output, job)
    datasets = [_dataset(name) for name in study.experiments]
    found |= {
        "theory_check": _table("", "theory_check", datasets, len(datasets)),
        "summary": _table("", "summary", [*datasets, "theory_check"], len(datasets)),
    }
    published = [_dataset(name) for name in study.compared]
    if published:
        found["published"] = _table("", "published", published, len(published))
    return found


def size(study: Study) -> float:
    """Return the bytes that a study writes and keeps."""
    return sum(job.size for job in of_study(study).values())


def _dataset(experiment: str) -> str:
    return f"results/{experiment}/metrics.nc"


def _table(experiment: str, rule: str, needs: Sequence[str], count: int) -> Job:
    return Job(experiment, [Step(rule, Work(core=count * TABLE), ("xarray",))], needs)


def _of_experiment(study: Study, name: str, holds: str) -> Iterator[tuple[str, Job]]:
    """Yield the jobs of an experiment, from its chains to its figures."""
    experiment = study.experiments[name]
    family = families.load(experiment.family)
    chains = list(study.chains(name))
    # Each number is in its chain's file and in the gathered dataset.
    numbers = sum(
        len(experiment.evaluated) if one.per_iteration else 1 for one in family.metrics.values()
    )
    size = 2 * len(experiment.seed_list) * numbers * NUMBER + FILE
    if experiment.by_iteration:
        yield from _by_steps(study, name, holds, size)
    else:
        for record, specs in batches(study, name).items():
            for spec in specs:
                work = Work(core=len(experiment.seed_list) * chain_seconds(spec))
                step = Step("chain", work, ("xarray",))
                yield chain_path(spec), Job(name, [step], size=size, block=record)
    dataset = _dataset(name)
    gathered = Work(core=TABLE + 2e-3 * len(chains))
    step = Step("gather", gathered, ("xarray",))
    yield dataset, Job(name, [step], [chain_path(spec) for spec in chains])
    files = 2 * len(family.figures)  # PNG and SVG
    drawn = Step("figures", Work(core=files * FIGURE), ("matplotlib", "xarray"))
    yield f"results/figures/{name}", Job(name, [drawn], [dataset])
    if mixtures.among(study, name):
        yield f"mixtures-{name}", _table(name, "mixtures", [dataset], 1)
    if experiment.by_iteration:
        yield from _shown(study, name, [chain_path(spec) for spec in chains])


def _shown(study: Study, name: str, chains: Sequence[str]) -> Iterator[tuple[str, Job]]:
    """Yield the jobs that show what models generated; files of steps are there with the chains."""
    iterative = families.load(study.experiments[name].family).by_steps
    if iterative.writes_text and Branches(study, name).evaluates_samples:
        yield f"samples-{name}", _table(name, "samples", chains, 1)
    if iterative.pictures is not None:
        drawn = Step("pictures", Work(core=PICTURES), ("matplotlib",))
        yield f"results/pictures/{name}", Job(name, [drawn], chains)


def _by_steps(study: Study, name: str, holds: str, size: float) -> Iterator[tuple[str, Job]]:
    """Yield the jobs of the chains of an experiment that runs by steps."""
    branches = Branches(study, name)
    experiment, iterative = branches.experiment, branches.family.by_steps
    evaluations: dict[str, list[str]] = {}
    for spec in study.chains(name):
        for seed in experiment.seed_list:
            branch = branches.branch(spec.point, spec.regime_name, seed)
            workload = iterative.workload(branches.parameters(branch.points.later))
            steps = _Steps(branches, branch, workload, holds)
            yield from steps.all()
            needs = [branch.metrics(t) for t in experiment.evaluated]
            evaluations.setdefault(chain_path(spec), []).extend(needs)
    for path, needs in evaluations.items():
        yield path, Job(name, [Step("collect")], needs, size=size)


class _Steps:
    """The jobs of one chain."""

    def __init__(self, branches: Branches, branch: Branch, workload: Workload[Any], holds: str):
        self._branches, self._branch, self._workload = branches, branch, workload
        self._holds = holds
        self._iterative = branches.family.by_steps
        self._experiment = branches.experiment
        parameters = branches.parameters(branch.points.later)
        self._vllm = self._iterative.may_use_vllm(parameters)

    def all(self) -> Iterator[tuple[str, Job]]:
        """Yield the jobs of all steps."""
        branch, workload = self._branch, self._workload
        data: list[str] = []
        if self._iterative.has_dataset:
            base = self._branches.base(branch.points.data)
            needs = []
            if base is not None:
                needs = [f"base {base.family} {base.parameters}"]
                yield needs[0], self._job("base", workload.base(), size=workload.model_bytes)
            data = [branch.data]
            size = branch.samples * workload.sample_bytes
            work = workload.prepare(branch.samples)
            yield branch.data, self._job("prepare", work, needs, size=size)
        sizes = branch.regime.training_sizes(self._experiment.iterations, branch.samples)
        before = data
        for t, trained in enumerate(sizes, start=1):
            for output, job in self._iteration(t, trained, before, data):
                yield output, replace(job, block=self._block(t))
            before = [branch.training_set(t), *(one.path for one in branch.shards(t))]

    def _iteration(
        self, t: int, trained: int, before: list[str], data: list[str]
    ) -> Iterator[tuple[str, Job]]:
        branch, workload, experiment = self._branch, self._workload, self._experiment
        made = branch.training_set(t)
        yield made, self._job("assemble", Work(), before, size=RECORD)
        last = t == experiment.iterations
        continues = t > 1 and branch.regime.starts_from_previous
        previous = [branch.model(t - 1)] if continues else []
        kept = experiment.keep_models == "all" or (experiment.keep_models == "last" and last)
        yield (
            branch.model(t),
            self._job(
                "train",
                workload.train(trained, t),
                [made, *data, *previous],
                gpus=experiment.gpus,
                size=workload.model_bytes if kept else 0.0,
            ),
        )
        shards: list[Shard] = [] if last else branch.shards(t)
        evaluated = t in experiment.evaluated
        read = branch.evaluated_shards(t) if evaluated else []
        for shard in dict.fromkeys((*shards, *read)):
            count = shard.stop - shard.start
            size = count * workload.sample_bytes
            work = workload.generate(count * (candidates(branch.regime) if shard.scored else 1))
            yield shard.path, self._job("generate", work, [branch.model(t)], gpus=1, size=size)
        if evaluated:
            judged = min(branch.evaluated_samples, sum(one.stop - one.start for one in read))
            needs = [branch.model(t), *(shard.path for shard in read)]
            work = workload.evaluate(judged, trained)
            yield branch.metrics(t), self._job("evaluate", work, needs, gpus=1, size=RECORD)

    def _job(
        self,
        rule: str,
        work: Work,
        needs: Sequence[str] = (),
        *,
        gpus: int = 0,
        size: float = 0.0,
    ) -> Job:
        libraries = self._workload.libraries.get(rule, ())
        step = Step(rule, work, libraries, vllm=rule == "generate" and self._vllm)
        asked = gpus if self._iterative.wants_gpu else 0
        return Job(self._branches.name, [step], needs, asked, size)

    def _block(self, t: int) -> str:
        """Return what identifies the job that holds an iteration; iteration 1 is one of its own."""
        if self._holds == "step":
            return ""
        record = self._branch.training_set(self._experiment.iterations if self._chain(t) else t)
        return f"block {record}"

    def _chain(self, t: int) -> bool:
        return self._holds == "chain" and t > 1


def joined(jobs: Mapping[str, Job]) -> dict[str, Job]:
    """Return the jobs of a study, of which those of one block are one job."""
    found: dict[str, list[str]] = {}
    for output, job in jobs.items():
        found.setdefault(job.block or output, []).append(output)
    name_of = {output: name for name, outputs in found.items() for output in outputs}
    result = {}
    for name, outputs in found.items():
        parts = [jobs[output] for output in outputs]
        needs = dict.fromkeys(name_of.get(need, need) for one in parts for need in one.needs)
        needs.pop(name, None)
        result[name] = Job(
            parts[0].experiment,
            [step for one in parts for step in one.steps],
            tuple(needs),
            max(one.gpus for one in parts),
            sum(one.size for one in parts),
        )
    return result
