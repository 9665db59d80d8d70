"""Run closed-form chains for those of their seeds that are not in their files yet."""

from collapse import job
from collapse.loop import chain, records

with job.guarded(snakemake.log[0]):
    chains = snakemake.params.chains.value
    chain.run_all(chains)
    record = snakemake.output.get("record")  # the job of a single file has none
    if record is not None:
        records.write(record, {"chains": [each["path"] for each in chains]})
