"""Write the real data of an experiment."""

from collapse import job
from collapse.artifacts.step import Step
from collapse.loop import prepare

made_of = snakemake.params.made_of

with job.guarded(snakemake.log[0]):
    prepare.prepare(
        snakemake.output.data,
        Step(**made_of["step"]),
        base=snakemake.input.get("base"),
        needed=snakemake.params.needed.value,
        made_of=made_of,
    )
