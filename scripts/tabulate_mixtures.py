"""Tabulate what synthetic data is worth beside so many real samples."""

from pathlib import Path

from collapse import jobs

with jobs.guarded(snakemake.log[0]):
    jobs.tabulate_mixtures(
        snakemake.input.metrics,
        study=snakemake.params.study,
        table=Path(snakemake.output.table),
    )
