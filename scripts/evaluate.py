"""Evaluate the model of an iteration and its samples."""

from collapse import job
from collapse.loop import steps

with job.guarded(snakemake.log[0]):
    steps.perform(
        snakemake.params.made_of,
        dict(snakemake.input.items()),
        dict(snakemake.output.items()),
        threads=snakemake.threads,
    )
