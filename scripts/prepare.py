"""Write the real data of an experiment."""

from collapse import job
from collapse.artifacts.step import Step
from collapse.loop import steps

with job.guarded(snakemake.log[0]):
    steps.prepare(snakemake.output.data, Step(**snakemake.params.step))
