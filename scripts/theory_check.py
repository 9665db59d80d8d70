"""Compare simulation with theory, over all experiments of the study."""

from pathlib import Path

from collapse import job
from collapse.results import theory_check

with job.guarded(snakemake.log[0]):
    theory_check.write(
        snakemake.input.metrics,
        study=snakemake.params.study,
        comparisons=Path(snakemake.output.comparisons),
        verdicts=Path(snakemake.output.verdicts),
    )
