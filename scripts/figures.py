"""Draw the figures of an experiment."""

from pathlib import Path

from collapse import job
from collapse.results import figures

with job.guarded(snakemake.log[0]):
    figures.write(
        snakemake.input.metrics,
        records=list(zip(snakemake.params.places, snakemake.params.records.value, strict=True)),
        study=snakemake.params.study,
        directory=Path(snakemake.output.directory),
    )
