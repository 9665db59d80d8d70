"""Write the real data of an experiment."""

from collapse import jobs
from collapse.artifacts.paths import Step
from collapse.loop import steps

with jobs.guarded(snakemake.log[0]):
    steps.prepare(snakemake.output.data, Step(**snakemake.params.step))
