"""Show what the models of an experiment wrote."""

from pathlib import Path

from collapse import jobs

with jobs.guarded(snakemake.log[0]):
    jobs.show_samples(
        list(zip(snakemake.params.places, snakemake.input.shards, strict=True)),
        table=Path(snakemake.output.table),
    )
