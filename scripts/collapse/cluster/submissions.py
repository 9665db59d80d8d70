"""What a profile asks of SLURM for the jobs of a study: submissions, and their resources."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from snakemake.resources import Resources

from collapse.loop.batches import batches
from collapse.loop.blocks import Blocks, chosen
from collapse.loop.branches import Branches
from collapse.loop.lineage import Lineage
from collapse.loop.step_files import PlannedStep, StepFiles
from collapse.seeding import REAL
from collapse.study import Study, mixtures


class Submission(NamedTuple):
    """The largest submission of a kind: its name, and how many jobs of each rule it holds."""

    name: str
    rules: Mapping[str, int]

    @property
    def folder(self) -> str:
        """The folder that Snakemake's executor names after it, for its logs."""
        names = sorted(self.rules)
        listed = "_".join(names[:5] + ["..."] * (len(names) > 5))
        return f"group_{self.name}_{listed}" if self.name else f"rule_{listed}"

    def minutes(self, settings: Mapping[str, Any], attempt: int) -> int:
        """Return the time limit at an attempt: the sum over its jobs, which run in turn."""
        return sum(self.share(settings, rule, attempt) for rule in self.rules)

    def share(self, settings: Mapping[str, Any], rule: str, attempt: int) -> int:
        """Return the part of the time limit at an attempt that jobs of a rule have."""
        return int(resources(settings, rule, attempt).get("runtime", 0)) * self.rules[rule]

    def __str__(self) -> str:
        jobs = ", ".join(f"{n} {rule}" if n > 1 else rule for rule, n in sorted(self.rules.items()))
        return f"submission {self.name} ({jobs})" if self.name else f"rule {jobs}"


def resources(settings: Mapping[str, Any], rule: str, attempt: int = 1) -> dict[str, Any]:
    """Return what a profile asks for a job of a rule at an attempt, as Snakemake reads it.

    Raises
    ------
    WorkflowError
        If a value can't be evaluated.
    """
    asked = dict(settings.get("default-resources") or {})
    asked |= (settings.get("set-resources") or {}).get(rule) or {}
    parsed = Resources.parse(
        [f"{key}={value}" for key, value in asked.items()], allow_expressions=True
    )
    known = {"input": [], "attempt": attempt, "threads": 1, "rulename": rule, "async_run": None}
    return {
        key: found.evaluate(None, **known).value if found.is_evaluable() else found.value
        for key, found in parsed.items()
    }


def all_of(settings: Mapping[str, Any], study: Study) -> list[Submission]:
    """Return the largest submission of each kind that a study makes under a profile.

    A kind is a group of the profile, or a rule that is in none.
    """
    groups = dict(str(line).split("=", 1) for line in settings.get("groups") or [])
    several = dict(str(line).split("=", 1) for line in settings.get("group-components") or [])
    held: dict[tuple[str, str, str], Counter[str]] = {}
    for rule, wildcards, connected in _jobs(study, _configured(settings)):
        template = groups.get(rule)
        if template is None:
            held[rule, "", ""] = Counter([rule])
        else:
            name = template.format(**wildcards)
            held.setdefault((template, name, connected), Counter())[rule] += 1
    used = sorted(set().union(*held.values()))
    each = {rule: int(resources(settings, rule).get("runtime", 0)) for rule in used}

    def minutes(submission: Submission) -> int:
        return sum(each[rule] * n for rule, n in submission.rules.items())

    alike = Counter((template, name) for template, name, _ in held)
    kinds: dict[str, Submission] = {}
    for (template, name, _), rules in held.items():
        count = min(int(several.get(template, 1)), alike[template, name])
        whole = Submission(name, {rule: n * count for rule, n in rules.items()})
        if template not in kinds or minutes(whole) > minutes(kinds[template]):
            kinds[template] = whole
    return list(kinds.values())


Described = tuple[str, dict[str, Any], str]


def _configured(settings: Mapping[str, Any]) -> str | None:
    """Return what a profile's configuration says that jobs hold."""
    config = settings.get("config") or {}
    if not isinstance(config, Mapping):
        config = dict(str(item).split("=", 1) for item in config)
    return config.get("job_holds")


def _jobs(study: Study, job_holds: str | None) -> Iterator[Described]:
    """Yield the rule, the wildcards and the connected part of the graph of every job."""
    for name, experiment in study.experiments.items():
        here = {"experiment": name}
        if experiment.by_iteration:
            branches = Branches(study, name)
            yield from _steps(branches, chosen(branches, job_holds, on_cluster=True))
            for spec in study.chains(name):
                yield "collect", {**here, "point": spec.point, "regime": spec.regime_name}, name
        else:
            for record, specs in batches(study, name).items():
                yield "chains", {**here, "point": specs[0].point}, record
        yield "gather", here, name
        yield "figures", here, name
        if mixtures.among(study, name):
            yield "mixtures", here, name
    for rule in ("theory_check", "summary"):
        yield rule, {}, ""
    if study.compared:
        yield "published", {}, ""


def _steps(branches: Branches, holds: str) -> Iterator[Described]:
    """Yield the jobs of all iterations of an experiment; chains share those of iteration 1."""
    experiment, iterative = branches.experiment, branches.family.by_steps
    blocks = Blocks(StepFiles(branches, Lineage(branches, {})), holds)
    found: dict[str, Described] = {}
    for branch in branches.all():
        if iterative.has_dataset:
            found[branch.data] = ("prepare", {"experiment": branches.name}, branch.data)
        for t in range(1, experiment.iterations + 1):
            first = t == 1
            regime = REAL if first else branch.regime_name
            point = branch.points.training if first else branch.points.later
            place: dict[str, Any] = {
                "experiment": branches.name,
                "regime": regime,
                "seed": branch.seed,
            }
            place["iteration"] = t
            connected = f"{point}/{regime}/{branch.seed}"
            if holds != "step":
                rule = "whole_chain" if holds == "chain" else "iteration"
                together = f"{branch.points.training}/{branch.seed}"
                found[blocks.record(branch, t, finish=False)] = (rule, place, together)
                continue
            for step in blocks.files.of_iteration(branch, t):
                found[step.record] = (_rule(step, blocks), place, connected)
    yield from found.values()
    if iterative.writes_text and branches.evaluates_samples:
        yield "samples", {"experiment": branches.name}, branches.name
    if iterative.pictures is not None:
        yield "pictures", {"experiment": branches.name}, branches.name


def _rule(step: PlannedStep, blocks: Blocks) -> str:
    """Return the name of the rule that runs a step as a job of its own."""
    if step.rule == "train" and not blocks.keeps_model(step.t):
        return "train_unkept"
    if step.rule == "evaluate" and blocks.files.pictured:
        return "evaluate_pictured"
    return step.rule
