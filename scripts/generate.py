"""Sample a shard from the model of an iteration."""

from collapse import job
from collapse.artifacts.step import Step
from collapse.loop import steps

made_of = snakemake.params.made_of

with job.guarded(snakemake.log[0]):
    steps.generate(
        snakemake.output.shard,
        snakemake.output.record,
        Step(**made_of["step"]),
        start=int(snakemake.wildcards.start),
        stop=int(snakemake.wildcards.stop),
        model=snakemake.input.model,
        data=snakemake.input.get("data"),
        made_of=made_of,
    )
