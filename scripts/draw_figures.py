"""Draw the figures of an experiment."""

from pathlib import Path

from collapse import jobs

with jobs.guarded(snakemake.log[0]):
    jobs.draw_figures(
        snakemake.input.metrics,
        study=snakemake.params.study,
        directory=Path(snakemake.output.directory),
    )
