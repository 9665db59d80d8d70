"""Summarise all experiments of the study in one short table."""

from pathlib import Path

from collapse import jobs

with jobs.guarded(snakemake.log[0]):
    jobs.summarise(
        snakemake.input.metrics,
        study=snakemake.params.study,
        verdicts=Path(snakemake.input.verdicts),
        text=Path(snakemake.output.text),
        table=Path(snakemake.output.table),
    )
