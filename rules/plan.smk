# An estimate of what a study costs.
#
# in:  the study
# out: a table on the terminal


rule plan:
    """Print the jobs, core-hours, GPU-hours and bytes of each experiment."""
    params:
        study=inputs.whole_study,
    script:
        "../scripts/plan.py"
