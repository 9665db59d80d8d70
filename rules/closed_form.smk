# Closed-form families: one job runs one chain for all its seeds at once.
#
# in:  the study
# out: results/{experiment}/{point}/{regime}.nc  metrics, seed x iteration


rule chain:
    """Run a chain for those of its seeds that are not in its file yet."""
    output:
        # The file is not deleted before the job, so that of more seeds only the new ones run.
        chain=update("results/{experiment}/{point}/{regime}.nc"),
    log:
        "logs/chain/{experiment}/{point}/{regime}.log",
    wildcard_constraints:
        experiment=inputs.closed_form,
    conda:
        inputs.environment("other")
    threads: 1
    resources:
        mem_mb=2000,
    params:
        specification=inputs.chain_of,
        version=inputs.version_of,
        seeds=inputs.kept_seeds_of,
        afresh=inputs.afresh,
    script:
        "../scripts/chain.py"
