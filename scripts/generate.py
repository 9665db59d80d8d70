"""Sample a shard from the model of an iteration."""

from collapse import job
from collapse.artifacts.step import Step
from collapse.loop import steps

with job.guarded(snakemake.log[0]):
    steps.generate(
        snakemake.output.shard,
        snakemake.output.record,
        Step(**snakemake.params.step),
        start=int(snakemake.wildcards.start),
        stop=int(snakemake.wildcards.stop),
        model=snakemake.input.model,
        data=snakemake.input.get("data"),
    )
