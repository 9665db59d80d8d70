"""The plan of a study, printed by Snakemake, has the jobs that Snakemake would run."""

import json
import re
import subprocess
from dataclasses import replace

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
    command = workflow.command("plan", "--quiet", "all")
    for config in ([], ["card=h200", "gpus=8"]):
        done = subprocess.run([*command, *config], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        total = re.search(r"^total +(\d+)", done.stdout, re.MULTILINE)
        assert total and int(total[1]) == sum(jobs.values()), done.stdout
        assert ("with 8 GPUs" in done.stdout) == bool(config)
