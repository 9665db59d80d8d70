"""Write the real data of an experiment."""

from collapse import job
from collapse.artifacts.step import Step
from collapse.loop import prepare

made_of = snakemake.params.made_of

with job.guarded(snakemake.log[0]):
    base = snakemake.input.get("base")
    prepare.prepare(snakemake.output.data, Step(**made_of["step"]), base=base, made_of=made_of)
