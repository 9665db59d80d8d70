"""Run all steps of an iteration, or of all iterations of a chain, in one job."""

from collapse import job
from collapse.loop import fitting, iteration

with job.guarded(snakemake.log[0]):
    iteration.run_block(
        snakemake.output.record,
        iteration.Place(
            experiment=snakemake.wildcards.experiment,
            point=snakemake.wildcards.point,
            regime=snakemake.wildcards.regime,
            seed=int(snakemake.wildcards.seed),
            iteration=int(snakemake.wildcards.iteration),
            holds=snakemake.params.holds,
        ),
        iteration.Machine(threads=snakemake.threads, **fitting.ranks_of(snakemake.resources)),
        afresh=snakemake.params.afresh.value,
        apart=snakemake.params.apart.value,
    )
