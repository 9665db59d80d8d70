# What a run would do: its cost, and why its jobs would run.
#
# in:  the study, and what the working directory holds of it
# out: text on the terminal, and in the log


rule plan:
    """Print the jobs, core-hours, GPU-hours and bytes of each experiment."""
    log:
        "logs/plan.log",
    localrule: True
    conda:
        inputs.environment("other")
    params:
        study=inputs.whole_study,
    script:
        "../scripts/plan.py"


rule explain:
    """Print why each job of the study would run."""
    log:
        "logs/explain.log",
    localrule: True
    conda:
        inputs.environment("other")
    script:
        "../scripts/explain.py"
