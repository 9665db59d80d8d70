"""Tabulate text that the models of an experiment generated."""

from pathlib import Path

from collapse import job
from collapse.results import samples

with job.guarded(snakemake.log[0]):
    samples.write(
        list(zip(snakemake.params.places, snakemake.params.shards.value, strict=True)),
        table=Path(snakemake.output.table),
    )
