"""Draw what the models of an experiment make: samples, reconstructions."""

from pathlib import Path

from collapse import jobs

with jobs.guarded(snakemake.log[0]):
    jobs.draw_pictures(
        list(zip(snakemake.params.places, snakemake.input.portraits, strict=True)),
        family=snakemake.params.family,
        directory=Path(snakemake.output.directory),
    )
