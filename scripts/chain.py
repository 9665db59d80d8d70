"""Run one closed-form chain for those of its seeds that are not in its file yet."""

from pathlib import Path

from collapse import job
from collapse.loop import chain

with job.guarded(snakemake.log[0]):
    chain.run(
        Path(snakemake.output.chain),
        specification=snakemake.params.specification,
        version=snakemake.params.version,
        seeds=snakemake.params.seeds,
        afresh=snakemake.params.afresh.value,
    )
