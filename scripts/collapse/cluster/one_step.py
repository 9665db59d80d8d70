"""Submissions to SLURM that start Snakemake once, in one step of the SLURM job.

Snakemake's executor for SLURM starts Snakemake in the batch script, and there a step for each job,
with another Snakemake in it. That takes seconds for each job, and no job can begin while the
controller is away. Here one Snakemake in one step runs all jobs, one after the other.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_slurm import Executor
from snakemake_executor_plugin_slurm_jobstep import (
    get_cpu_setting,
    get_gpu_setting,
    get_node_setting,
)

from collapse.cluster import job_step


class OneStepExecutor(Executor):  # type: ignore[misc]  # the package has no types
    """The executor, with one Snakemake for all jobs of a submission.

    The tasks of array jobs start as they do without it.
    """

    def additional_general_args(self) -> str:
        """Have the Snakemake of a submission run its jobs itself, one at a time."""
        if self.workflow.executor_settings.array_jobs:
            return str(super().additional_general_args())
        return "--executor local --jobs 1"

    def format_job_exec(self, job: Any) -> str:
        """Return the command of a submission, which runs in a step, where signals reach it."""
        command = str(super().format_job_exec(job))
        if self.workflow.executor_settings.array_jobs:
            return command
        python = self.get_python_executable()
        on_gpus = bool(job.resources.get("gpu")) or "gpu" in job.resources.get("gres", "")
        options = f"{get_cpu_setting(job, on_gpus)} {get_gpu_setting(job)} {get_node_setting(job)}"
        step = f"{python} {shlex.quote(str(Path(job_step.__file__)))} {options} --"
        return command.replace(f"{python} -m snakemake ", f"{step} {python} -m snakemake ", 1)
