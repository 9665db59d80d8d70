"""Sample a shard from the model of an iteration."""

from collapse import jobs, steps
from collapse.lineage import Step

with jobs.guarded(snakemake.log[0]):
    steps.generate(
        snakemake.output.shard,
        snakemake.output.record,
        Step(**snakemake.params.step),
        start=int(snakemake.wildcards.start),
        stop=int(snakemake.wildcards.stop),
        model=snakemake.input.model,
        data=snakemake.input.get("data"),
    )
