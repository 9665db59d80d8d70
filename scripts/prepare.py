"""Write the real data of an experiment."""

from collapse import jobs, steps
from collapse.lineage import Step

with jobs.guarded(snakemake.log[0]):
    steps.prepare(snakemake.output.data, Step(**snakemake.params.step))
