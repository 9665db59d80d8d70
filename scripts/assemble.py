"""Write the manifest of what an iteration trains on."""

from collapse import jobs, steps
from collapse.regimes import Regime

with jobs.guarded(snakemake.log[0]):
    steps.assemble(
        snakemake.output.training_set,
        steps.Step(**snakemake.params.step),
        Regime(**snakemake.params.regime),
        data=snakemake.input.get("data"),
        previous=snakemake.input.get("previous"),
        records=snakemake.input.get("records", []),
    )
