"""Collect the metrics of an iterative chain, for all its seeds."""

from collapse import job
from collapse.loop import collect

with job.guarded(snakemake.log[0]):
    collect.collect(
        snakemake.output.chain,
        snakemake.params.metrics.value,
        seeds=snakemake.params.seeds,
        specification=snakemake.params.specification,
        evaluations=snakemake.params.evaluations,
    )
