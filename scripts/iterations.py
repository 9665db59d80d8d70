"""Run all steps of an iteration, or of all iterations of a chain, in one job."""

from collapse import job
from collapse.loop import fitting, iterations

with job.guarded(snakemake.log[0]):
    iterations.run_block(
        snakemake.output.record,
        iterations.Place(
            experiment=snakemake.wildcards.experiment,
            point=snakemake.wildcards.point,
            regime=snakemake.wildcards.regime,
            seed=int(snakemake.wildcards.seed),
            iteration=int(snakemake.wildcards.iteration),
            holds=snakemake.wildcards.holds,
        ),
        iterations.Machine(threads=snakemake.threads, **fitting.ranks_of(snakemake.resources)),
        afresh=snakemake.params.afresh.value,
        apart=snakemake.params.apart.value,
    )
