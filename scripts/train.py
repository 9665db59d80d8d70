"""Train the model of an iteration."""

from pathlib import Path

from collapse import job
from collapse.artifacts.step import Step
from collapse.loop import fitting, steps

made_of = snakemake.params.made_of

with job.guarded(snakemake.log[0]):
    steps.train(
        snakemake.output.model,
        snakemake.output.record,
        Step(**made_of["step"]),
        training_set=snakemake.input.training_set,
        data=snakemake.input.get("data"),
        scratch=Path(snakemake.params.scratch),
        made_of=made_of,
        **fitting.ranks_of(snakemake.resources),
    )
