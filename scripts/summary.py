"""Summarise all experiments of the study in one short table."""

from pathlib import Path

from collapse import job
from collapse.results import summary

with job.guarded(snakemake.log[0]):
    summary.write(
        snakemake.input.metrics,
        study=snakemake.params.study,
        verdicts=Path(snakemake.input.verdicts),
        text=Path(snakemake.output.text),
        table=Path(snakemake.output.table),
        page=Path(snakemake.output.page),
    )
