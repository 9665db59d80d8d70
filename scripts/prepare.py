"""Write the real data of an experiment."""

from collapse import jobs, steps

with jobs.guarded(snakemake.log[0]):
    steps.prepare(snakemake.output.data, steps.Step(**snakemake.params.step))
