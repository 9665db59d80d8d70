"""Gather the chains of an experiment into one dataset."""

from pathlib import Path

from collapse import job
from collapse.results import gather

with job.guarded(snakemake.log[0]):
    gather.write(
        Path(snakemake.output.metrics),
        chains=list(zip(snakemake.params.cells, snakemake.params.files.value, strict=True)),
        specifications=snakemake.params.specifications,
        layout=snakemake.params.layout,
        study=snakemake.params.study.value,
        project=Path(snakemake.scriptdir).parent,
    )
