"""Run one closed-form chain for all its seeds, or only for those not yet in its file."""

from pathlib import Path

from collapse import job
from collapse.loop import chain

with job.guarded(snakemake.log[0]):
    chain.run(
        Path(snakemake.output.chain),
        specification=snakemake.params.specification,
        version=snakemake.params.version,
        seeds=snakemake.params.seeds,
    )
