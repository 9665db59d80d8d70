# Closed-form families: a job runs the chains of a point for all their seeds at once, or one chain if
# they take long (scripts/collapse/loop/batches.py).
#
# in:  the study
# out: results/{experiment}/{point}/{regime}.nc  metrics, seed x iteration
#
# Of jobs that a study needs Snakemake knows their record alone, so that it deletes no finished chain
# if another fails:
#      results/{experiment}/{point}/chains.json, {regime}/chain.json


rule chains:
    """Run those seeds of the chains of a job that are not in their files yet."""
    output:
        record="results/{experiment}/{point}/{batch}{number}.json",
    log:
        "logs/chains/{experiment}/{point}/{batch}{number}.log",
    wildcard_constraints:
        experiment=inputs.closed_form,
        batch="chains|[^/]+/chain",
        number=records.NUMBER,
    conda:
        inputs.environment("other")
    threads: 1
    resources:
        mem_mb=2000,
    params:
        chains=chains.chains_of_batch,
    script:
        "../scripts/chains.py"


use rule chains as chain with:
    input:
        chains.before_file,
    output:
        # The file is not deleted before the job, so that of more seeds only the new ones run.
        chain=update("results/{experiment}/{point}/{regime}.nc"),
    log:
        "logs/chains/{experiment}/{point}/{regime}.log",
    params:
        chains=chains.chain_of_file,
