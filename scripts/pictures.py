"""Draw what the models of an experiment make: samples, reconstructions."""

from pathlib import Path

from collapse import job
from collapse.results import pictures

with job.guarded(snakemake.log[0]):
    pictures.write(
        list(zip(snakemake.params.places, snakemake.input.portraits, strict=True)),
        family=snakemake.params.family,
        directory=Path(snakemake.output.directory),
    )
