"""Compare simulation with theory, over all experiments of the study."""

from pathlib import Path

from collapse import jobs

with jobs.guarded(snakemake.log[0]):
    jobs.check_theory(
        snakemake.input.metrics,
        study=snakemake.params.study,
        comparisons=Path(snakemake.output.comparisons),
        verdicts=Path(snakemake.output.verdicts),
    )
