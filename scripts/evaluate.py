"""Evaluate the model of an iteration and its samples."""

from collapse import job
from collapse.artifacts.step import Step
from collapse.loop import steps

with job.guarded(snakemake.log[0]):
    steps.evaluate(
        snakemake.output.metrics,
        Step(**snakemake.params.step),
        model=snakemake.input.model,
        data=snakemake.input.get("data"),
        training_set=snakemake.input.training_set,
        records=snakemake.input.get("records", []),
        portrait=snakemake.output.get("portrait"),
        threads=snakemake.threads,
        done_with=snakemake.params.done_with,
    )
