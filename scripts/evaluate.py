"""Evaluate the model of an iteration and its samples."""

from collapse import job
from collapse.artifacts.step import Step
from collapse.loop import steps

made_of = snakemake.params.made_of

with job.guarded(snakemake.log[0]):
    steps.evaluate(
        snakemake.output.metrics,
        snakemake.output.record,
        Step(**made_of["step"]),
        model=snakemake.input.model,
        data=snakemake.input.get("data"),
        training_set=snakemake.input.training_set,
        records=snakemake.input.get("records", []),
        portrait=snakemake.output.get("portrait"),
        threads=snakemake.threads,
        done_with=snakemake.params.done_with.value,
        made_of=made_of,
    )
