"""The dry run of the paper study beside that of a bare Snakefile with the same jobs and files.

The bare Snakefile looks up the inputs of its jobs in a table, and knows of a job nothing but its
files and a command. A second one also declares for each job what good workflows do: a log, a
parameter that is a function, resources, and a script. What it takes more is Snakemake's own.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

from processes import verdict

from collapse import study as studies
from collapse.loop.chain_inputs import ChainInputs
from collapse.loop.inputs import Inputs
from collapse.loop.step_inputs import StepInputs

PROJECT = Path(__file__).parents[1]

#: The largest time and memory of a job of ours, relative to those of a bare Snakefile's.
LIMIT = 1.3

ITERATION = "results/{experiment}/{point}/{regime}/seed{seed}/iter{iteration}"
SHARD = f"{ITERATION}/synthetic{{kind}}/{{start}}-{{stop}}"

#: The outputs of the rules of the bare Snakefile.
OUTPUTS: dict[str, Sequence[str]] = {
    "chains": ["results/{experiment}/{point}/{batch}.json"],
    "base": ["results/bases/{base}"],
    "prepare": ["results/{experiment}/data/{point}"],
    "assemble": [f"{ITERATION}/training_set.json"],
    "train": [f"{ITERATION}/model", f"{ITERATION}/training.json"],
    "generate": [f"{SHARD}.parquet", f"{SHARD}.json"],
    "evaluate": [f"{ITERATION}/metrics.json", f"{ITERATION}/evaluation.json"],
    "collect": ["results/{experiment}/{point}/{regime}.nc"],
    "gather": ["results/{experiment}/metrics.nc"],
    "figures": ["results/figures/{experiment}"],
    "samples": ["results/tables/samples-{experiment}.csv"],
    "mixtures": ["results/tables/mixture-{experiment}.csv"],
    "pictures": ["results/pictures/{experiment}"],
    "published": ["results/tables/published.csv"],
    "theory_check": ["results/tables/theory_check.csv", "results/tables/theory_verdicts.csv"],
    "summary": ["results/tables/summary.txt"],
}
FOLDERS = (
    "bases/{base}",
    "data/{point}",
    "/model",
    "figures/{experiment}",
    "pictures/{experiment}",
)

HEAD = """\
import json

INPUTS = json.loads(open("inputs.json").read())


def inputs_of(rule):
    return lambda wildcards: INPUTS[rule][" ".join(wildcards)]


wildcard_constraints:
    experiment=r"[A-Za-z][A-Za-z0-9_-]*",
    point=r"any|[^/]*=[^/]*",
    regime=r"[^/]+",
    seed=r"\\d+",
    iteration=r"[1-9]\\d*",
    kind="|-scored",
    start=r"\\d+",
    stop=r"\\d+",
    batch="chains|[^/]+/chain",


rule all:
    input:
        INPUTS["all"][""],
"""

DECLARED = """\
    log:
        "logs/{rule}/{log}.log",
    resources:
        mem_mb=8000,
    params:
        made_of=lambda wildcards: {{"rule": "{rule}", "step": dict(wildcards)}},
    script:
        "script.py"
"""


class Run(NamedTuple):
    """The jobs of a dry run, and its processor seconds and peak memory in MB."""

    jobs: int
    seconds: float
    memory: float

    def line(self, name: str, bare: Run) -> str:
        """Return the row of a table, with the ratios to the bare Snakefile."""
        each, memory = 1e3 * self.seconds / self.jobs, 1e3 * self.memory / self.jobs
        return (
            f"{name:<22}{self.jobs:>7}{self.seconds:>8.1f}{each:>8.2f}{self.memory:>7.0f}"
            f"{memory:>7.1f}{self.seconds / bare.seconds:>7.2f}{self.memory / bare.memory:>8.2f}"
        )


def bare_snakefile(declares: bool) -> str:
    """Return the text of a bare Snakefile, whose jobs may declare more than their files."""
    parts = [HEAD]
    for rule, outputs in OUTPUTS.items():
        quoted = [
            f'directory("{path}")' if path.endswith(FOLDERS) else f'"{path}"' for path in outputs
        ]
        text = f"\n\nrule {rule}:\n    input:\n        inputs_of({rule!r}),\n    output:\n"
        text += "".join(f"        {path},\n" for path in quoted)
        log = "-".join(re.findall(r"{\w+}", outputs[0]))
        more = DECLARED.format(rule=rule, log=log) if declares else '    shell:\n        "true"\n'
        parts.append(text + more)
    return "".join(parts)


def inputs_of_jobs(study: studies.Study) -> dict[str, dict[str, list[str]]]:
    """Return the inputs of all jobs of a study that ran nowhere, by rule and wildcards."""
    inputs = Inputs(study, {"neural": "", "other": ""}, PROJECT, job_holds="step")
    steps, chains = StepInputs(inputs, finish=True), ChainInputs(inputs, finish=True)
    table: dict[str, dict[str, list[str]]] = {rule: {} for rule in OUTPUTS}
    for rule, wildcards, files in _jobs(inputs, steps, chains):
        table[rule][wildcards] = files
    shown = {rule: [*jobs] for rule, jobs in table.items()}
    named = ("figures", "samples", "mixtures", "pictures")
    table["all"] = {
        "": [
            *chains.of_study(None),
            *inputs.all_metrics,
            *(OUTPUTS[rule][0].format(experiment=name) for rule in named for name in shown[rule]),
            *(path for rule in ("published", "theory_check", "summary") for path in OUTPUTS[rule]),
        ]
    }
    return table


def _jobs(
    inputs: Inputs, steps: StepInputs, chains: ChainInputs
) -> Iterator[tuple[str, str, list[str]]]:
    for name, blocks in inputs.blocks.items():
        branches = blocks.files.branches
        for branch in branches.all():
            base = [*blocks.files.base(branch.points.data).values()]
            yield "prepare", f"{name} {branch.points.data}", base
            for t in range(1, branches.experiment.iterations + 1):
                for step in blocks.files.of_iteration(branch, t):
                    files = _flat(blocks.files.inputs(step).values())
                    yield step.rule, " ".join(_wildcards(step.record)), files
    for name in inputs.study.experiments:
        of_experiment = SimpleNamespace(experiment=name)
        asked = chains.of_experiment(of_experiment)
        yield "gather", name, asked
        if name in inputs.branches:
            for spec in inputs.study.chains(name):
                place = {"experiment": name, "point": spec.point, "regime": spec.regime_name}
                files = steps.collected_of(SimpleNamespace(**place))
                yield "collect", " ".join(place.values()), files
            portraits = [_beside(path) for path in steps.shown_pictures(of_experiment)]
        else:
            for path in asked:
                point, batch = path.removesuffix(".json").split("/", 3)[2:]
                yield "chains", f"{name} {point} {batch}", []
        metrics = f"results/{name}/metrics.nc"
        yield "figures", name, [metrics, *steps.shown_trainings(of_experiment)]
        if name in inputs.writing:
            yield "samples", name, steps.shown_shards(of_experiment)
        if name in inputs.mixing:
            yield "mixtures", name, [metrics]
        if name in inputs.pictured:
            yield "pictures", name, portraits
    for base in inputs.bases:
        yield "base", base, []
    yield "published", "", inputs.published_metrics
    yield "theory_check", "", inputs.all_metrics
    yield "summary", "", [*inputs.all_metrics, OUTPUTS["theory_check"][1]]


def _beside(portrait: str) -> str:
    """Return the metrics beside a portrait, which evaluations of the bare Snakefile don't write."""
    return str(Path(portrait).with_name("metrics.json"))


def _wildcards(record: str) -> list[str]:
    """Return the wildcards of the record of a step."""
    found = re.fullmatch(
        r"results/(.+?)/(.+?)/(.+?)/seed(\d+)/iter(\d+)/(?:synthetic(.*?)/(\d+)-(\d+)\.)?\w*\.?json",
        record,
    )
    if found is None:
        raise ValueError(f"{record}: not a record of a step")
    return [part for part in found.groups() if part is not None]


def _flat(files: object) -> list[str]:
    return [files] if isinstance(files, str) else [one for each in files for one in _flat(each)]


def dry_run(snakefile: Path, *options: str, folder: Path) -> Run:
    """Dry-run a Snakefile in a folder, in a process of its own."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile), "--dry-run"]
    command += ["--quiet", "rules", "--rerun-triggers", "params", *options]
    printed = folder / "printed"
    with printed.open("w") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    text = printed.read_text()
    total = re.search(r"^total +(\d+)", text, re.MULTILINE)
    if process.returncode or total is None:
        raise RuntimeError(f"{snakefile}: {text.strip().splitlines()[-1]}")
    return Run(int(total[1]), used.ru_utime + used.ru_stime, used.ru_maxrss / 1e3)


def report(quick: bool) -> list[bool]:
    """Print time and memory of a job in dry runs; return whether ours are near the bare ones."""
    name = "quick" if quick else "paper"
    study = PROJECT / "config" / "studies" / f"{name}.yaml"
    ours = ("--profile", str(PROJECT / "profiles" / "local"), "--config")
    ours += (f"study={study}", "job_holds=step")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with contextlib.chdir(folder):  # chains that ran in the checkout are no jobs any more
            table = inputs_of_jobs(studies.load(study))
        (folder / "inputs.json").write_text(json.dumps(table))
        (folder / "script.py").write_text("")
        for file, declares in (("bare", False), ("declaring", True)):
            (folder / f"{file}.smk").write_text(bare_snakefile(declares))
        runs = {
            "bare Snakefile": (folder / "bare.smk", "--cores", "1"),
            "with logs, scripts ...": (folder / "declaring.smk", "--cores", "1"),
            "ours": (PROJECT / "Snakefile", *ours),
        }
        found: dict[str, Run] = {}
        for _ in range(1 if quick else 2):
            for each, (snakefile, *options) in runs.items():
                run = dry_run(snakefile, *options, folder=folder)
                found[each] = min(run, found.get(each, run), key=lambda run: run.seconds)
    print(
        f"\ndry run of config/studies/{name}.yaml, a job a step; processor seconds, MB; of a job "
        f"ms, kB\n{'':<22}{'jobs':>7}{'s':>8}{'ms':>8}{'MB':>7}{'kB':>7}{'time':>7}{'memory':>8}"
    )
    bare, last = found["bare Snakefile"], found["ours"]
    for each, run in found.items():
        print(run.line(each, bare))
    near = last.seconds <= LIMIT * bare.seconds and last.memory <= LIMIT * bare.memory
    met = near and bare.jobs == last.jobs
    print(f"ours within {LIMIT} times a bare Snakefile's time and memory: {verdict(met)}")
    return [met]
