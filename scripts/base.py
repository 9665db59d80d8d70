"""Pretrain a base, from which experiments start."""

from pathlib import Path

from collapse import job
from collapse.artifacts.step import Step
from collapse.loop import base

made_of = snakemake.params.made_of

with job.guarded(snakemake.log[0]):
    base.pretrain(
        snakemake.output.base,
        Step(**made_of["step"]),
        scratch=Path(snakemake.params.scratch),
        made_of=made_of,
    )
