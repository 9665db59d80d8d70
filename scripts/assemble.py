"""Write the manifest of the training set of an iteration."""

from collapse import job
from collapse.loop import steps

with job.guarded(snakemake.log[0]):
    steps.perform(
        snakemake.params.made_of,
        dict(snakemake.input.items()),
        dict(snakemake.output.items()),
    )
