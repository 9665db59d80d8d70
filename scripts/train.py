"""Train the model of an iteration."""

from collapse import job
from collapse.loop import fitting, steps

with job.guarded(snakemake.log[0]):
    steps.perform(
        snakemake.params.made_of,
        dict(snakemake.input.items()),
        dict(snakemake.output.items()),
        scratch=snakemake.params.scratch,
        **fitting.ranks_of(snakemake.resources),
    )
