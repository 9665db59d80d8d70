"""Tabulate, for each number of real samples, what synthetic samples improve."""

from pathlib import Path

from collapse import job
from collapse.results import mixtures

with job.guarded(snakemake.log[0]):
    mixtures.write(
        snakemake.input.metrics,
        study=snakemake.params.study,
        table=Path(snakemake.output.table),
    )
