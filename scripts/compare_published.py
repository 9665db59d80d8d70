"""Put our results beside published ones."""

from pathlib import Path

from collapse import jobs

with jobs.guarded(snakemake.log[0]):
    jobs.compare_published(
        snakemake.input.metrics,
        study=snakemake.params.study,
        table=Path(snakemake.output.table),
    )
