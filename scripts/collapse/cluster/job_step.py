"""Run a command as the only step of a SLURM job: job_step.py [option of srun ...] -- command ...

SLURM sends the signal before a time limit to the steps of a job alone, not to its batch script.
"""

import os
import sys

#: The variables of a job by which srun knows it. Others, and the user's defaults, are options of
#: srun or sbatch, and may contradict those of the step.
KEPT = ("SLURM_CONF", "SLURM_CLUSTER_NAME", "SLURM_JOB_ID", "SLURM_JOBID", "SLURM_SUBMIT_")


def main(words: list[str]) -> None:
    """Replace this process by srun, with the options and the command."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(KEPT) or not name.startswith(("SLURM_", "SRUN_", "SBATCH_"))
    }
    split = words.index("--")
    step = ["srun", "--ntasks=1", "--cpu-bind=quiet", *words[:split], *words[split + 1 :]]
    os.execvpe(step[0], step, environment)  # noqa: S606 - without a shell, and no input of others


if __name__ == "__main__":
    main(sys.argv[1:])
