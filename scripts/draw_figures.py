"""Draw the figures of an experiment."""

from pathlib import Path

from collapse import jobs

with jobs.guarded(snakemake.log[0]):
    jobs.draw_figures(
        snakemake.input.metrics,
        records=list(zip(snakemake.params.places, snakemake.input.records, strict=True)),
        study=snakemake.params.study,
        directory=Path(snakemake.output.directory),
    )
