"""Compare results with published values."""

from pathlib import Path

from collapse import job
from collapse.results import published

with job.guarded(snakemake.log[0]):
    published.write(
        snakemake.input.metrics,
        study=snakemake.params.study,
        table=Path(snakemake.output.table),
    )
