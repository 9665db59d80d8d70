"""Draw samples and reconstructions of the models of an experiment."""

from pathlib import Path

from collapse import job
from collapse.results import pictures

with job.guarded(snakemake.log[0]):
    pictures.write(
        list(zip(snakemake.params.places, snakemake.params.portraits.value, strict=True)),
        family=snakemake.params.family,
        directory=Path(snakemake.output.directory),
    )
