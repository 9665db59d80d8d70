"""Estimates of a study: the seconds of each job, what experiments cost, and how long all takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from collapse.loop.branches import Branches
from collapse.loop.plan.device import Device
from collapse.loop.plan.jobs import Job, Step
from collapse.loop.plan.schedule import Task, duration, longest_path
from collapse.study import Study

#: Seconds of the reference core that Snakemake takes for a job on this machine, and in which a
#: submission's own Snakemake reads the workflow and starts a job on a cluster.
DRIVER, SUBMITTED = 0.2, 3.0

#: Seconds in which a step on a GPU starts beyond its imports: it opens the device, compiles a
#: network that is trained, or starts vLLM.
ON_GPU = {"train": 30.0, "generate": 3.0, "evaluate": 3.0}
VLLM = 45.0


class Seconds(NamedTuple):
    """The seconds of a job: in which it starts, and in which it works."""

    start: float
    work: float

    @property
    def total(self) -> float:
        """All seconds of the job."""
        return self.start + self.work


class Machine(NamedTuple):
    """What runs a study: cores of this machine, or a cluster with GPUs of one kind."""

    core: Device
    gpu: Device | None = None

    def seconds(self, job: Job) -> Seconds:
        """Return what a job takes: on a GPU if it asks for one and there is one, else on a core."""
        if self.gpu is None or not job.gpus:
            overhead = DRIVER if self.gpu is None else SUBMITTED
            work = sum(self.core.seconds(step.work) for step in job.steps)
            return Seconds(self.core.start(job.libraries) + overhead * self.core.core, work)
        start = SUBMITTED * self.gpu.core + self.gpu.start(job.libraries)
        start += sum(_on_gpu(step) for step in job.steps)
        return Seconds(start, sum(self._on_gpus(step, job.gpus) for step in job.steps))

    def _on_gpus(self, step: Step, gpus: int) -> float:
        """Return what a step works on its GPUs, which share a training's batches alone."""
        device = self.gpu if self.gpu is not None and step.rule in ON_GPU else self.core
        return device.seconds(step.work) / (gpus if step.rule == "train" else 1)

    def tasks(self, jobs: Mapping[str, Job]) -> dict[str, Task]:
        """Return the tasks of a schedule, in which slots are cores or, if there are any, GPUs."""
        return {
            name: Task(
                self.seconds(job).total, job.gpus if self.gpu is not None else 1, tuple(job.needs)
            )
            for name, job in jobs.items()
        }


def _on_gpu(step: Step) -> float:
    return VLLM if step.vllm else ON_GPU.get(step.rule, 0.0)


class Cost(NamedTuple):
    """What the jobs of an experiment cost.

    ``core`` and ``gpu`` are the seconds of cores and GPUs, ``start`` the part of them in which jobs
    start, and ``bytes`` what is kept. ``gpu_memory`` is the bytes that the largest training needs
    on each GPU, or 0 if no estimate is known.
    """

    jobs: int
    core: float
    gpu: float
    start: float
    bytes: float
    gpu_memory: float = 0.0


def costs(study: Study, jobs: Mapping[str, Job], machine: Machine) -> dict[str, Cost]:
    """Return the cost of each experiment; that of jobs for the whole study has an empty name."""
    found = dict.fromkeys([*study.experiments, ""], Cost(0, 0.0, 0.0, 0.0, 0.0))
    for job in jobs.values():
        seconds, before = machine.seconds(job), found[job.experiment]
        gpus = job.gpus if machine.gpu is not None else 0
        found[job.experiment] = before._replace(
            jobs=before.jobs + 1,
            core=before.core + (0.0 if gpus else seconds.total),
            gpu=before.gpu + gpus * seconds.total,
            start=before.start + max(1, gpus) * seconds.start,
            bytes=before.bytes + job.size,
        )
    for name, experiment in study.experiments.items():
        if experiment.by_iteration:
            found[name] = found[name]._replace(gpu_memory=_gpu_memory(Branches(study, name)))
    return found


def total(found: Mapping[str, Cost]) -> Cost:
    """Return the cost of all experiments together."""
    summed = Cost(*(sum(column) for column in zip(*found.values(), strict=True)))
    return summed._replace(gpu_memory=max(one.gpu_memory for one in found.values()))


def _gpu_memory(branches: Branches) -> float:
    """Estimate the bytes that the largest training of an experiment needs on each GPU."""
    estimate = branches.family.by_steps.training_memory
    points = {branch.points.later for branch in branches.all()}
    found = (estimate(branches.parameters(point), branches.experiment.gpus) for point in points)
    return max((one for one in found if one is not None), default=0.0)


class HowLong(NamedTuple):
    """Seconds until a study is done, with some numbers of cores or GPUs at once.

    ``longest`` is the longest row of jobs of which each waits for the one before it, which no
    number of them shortens, and ``by_slots`` the seconds with each number.
    """

    longest: float
    by_slots: dict[int, float]


def how_long(jobs: Mapping[str, Job], machine: Machine, most: int | None = None) -> HowLong:
    """Simulate the schedule of a study on 1, 2, 4, ... cores or GPUs at once.

    Parameters
    ----------
    jobs : mapping of str to Job
    machine : Machine
    most : int or None
        The largest number; None goes on until more of them would save less than a tenth.
    """
    tasks = machine.tasks(jobs)
    longest = longest_path(tasks)
    found = {}
    slots = 1
    while most is None or slots < most:
        found[slots] = duration(tasks, slots)
        if most is None and (found[slots] < 1.1 * longest or slots >= 1024):
            return HowLong(longest, found)
        slots *= 2
    found[most] = duration(tasks, most)
    return HowLong(longest, found)
