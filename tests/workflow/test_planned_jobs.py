"""The plan of a study, printed by Snakemake, has the jobs that Snakemake would run."""

import json
import re
from dataclasses import replace

import forking
from collapse.loop.plan import machine
from running import Workflow

COMMON = {"regimes": ["replace", "accumulate"], "iterations": 3, "seeds": 2}
STUDY = {
    "closed": {**COMMON, "family": "gaussian", "samples": [10, 20], "grid": {"dimension": 2}},
    "steps": {
        **COMMON, "family": "gaussian", "samples": 10, "per_iteration": True, "evaluations": 2,
    },
    "text": {**COMMON, "family": "language_model", "samples": 50, "shard_size": 30},
    "tuned": {**COMMON, "family": "fine_tuning", "samples": 50, "settings": {"judged": 0}},
}  # fmt: skip


def test_the_plan_counts_the_jobs_of_a_run(tmp_path):
    workflow = Workflow(tmp_path)
    workflow.write(**STUDY)
    jobs = workflow.planned()
    assert jobs.pop("all") == 1
    kept = tmp_path / machine.CACHE  # so that nothing is measured
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(replace(machine.REFERENCE, name=machine.described()).as_dict()))
    for config in ([], ["card=h200", "gpus=8"]):
        command = [*workflow.command("plan", "--quiet", "all"), *config]
        printed = forking.snakemake(command[3:]).stdout
        total = re.search(r"^total +(\d+)", printed, re.MULTILINE)
        assert total and int(total[1]) == sum(jobs.values()), printed
        assert ("with 8 GPUs" in printed) == bool(config)
