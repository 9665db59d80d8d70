# What a study costs, before it runs.
#
# in:  the study
# out: a table on the terminal


rule plan:
    """Print jobs, core-hours and bytes per experiment."""
    params:
        study=inputs.whole_study,
    script:
        "../scripts/plan.py"
