"""Write the manifest of the training set of an iteration."""

from collapse import job
from collapse.artifacts import training_sets
from collapse.artifacts.step import Step
from collapse.regimes import Regime

made_of = snakemake.params.made_of

with job.guarded(snakemake.log[0]):
    training_sets.assemble(
        snakemake.output.training_set,
        Step(**made_of["step"]),
        Regime(**made_of["settings"]),
        data=snakemake.input.get("data"),
        previous=snakemake.input.get("previous"),
        records=snakemake.input.get("records", []),
        made_of=made_of,
    )
