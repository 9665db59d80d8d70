# What a run would do: its cost, and why its jobs would run.
#
# in:  the study, and what the working directory holds of it
# out: text on the terminal, and in the log


rule plan:
    """Print the time and bytes of each experiment, and how long the study takes."""
    log:
        "logs/plan.log",
    localrule: True
    conda:
        inputs.environment("other")
    params:
        study=inputs.whole_study,
        job_holds=RUN.job_holds,
        card=config.get("card"),  # of a cluster: its name, or what was measured on it
        gpus=config.get("gpus"),  # how many of them at once
        measure=bool(config.get("measure", False)),  # the cores of this machine again
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
