# Model-data feedback loops: fit a model, sample from it, form the next training set, fit again.
#
#   snakemake --profile profiles/local                      the study named in config/config.yaml
#   snakemake --profile profiles/local --config study=PATH  another one
#   snakemake --profile profiles/local -n                   what would run
#   snakemake plan --cores 1                                what it costs, and how long it takes
#   snakemake explain --cores 1                             why each job would run
from pathlib import Path

from snakemake.utils import min_version

min_version("9.0")

# Not workflow.basedir, which is the folder of the Snakefile that uses this one as a module.
PROJECT = Path(str(workflow.current_basedir))


configfile: PROJECT / "config" / "config.yaml"


include: "rules/common.smk"
include: "rules/closed_form.smk"
include: "rules/iterations.smk"
include: "rules/results.smk"
include: "rules/plan.smk"


report: "docs/report.rst"


rule all:
    """Every figure and table of the study."""
    default_target: True
    input:
        # Chains and datasets are named here, so that a lost one is made again in any case.
        chains=chains.of_study,
        metrics=inputs.all_metrics,
        figures=expand("results/figures/{experiment}", experiment=STUDY.experiments),
        samples=expand(
            "results/tables/samples-{experiment}.csv", experiment=inputs.writing
        ),
        mixtures=expand(
            "results/tables/mixture-{experiment}.csv", experiment=inputs.mixing
        ),
        pictures=expand("results/pictures/{experiment}", experiment=inputs.pictured),
        published="results/tables/published.csv" if inputs.published else [],
        theory="results/tables/theory_check.csv",
        verdicts="results/tables/theory_verdicts.csv",
        summary=expand("results/tables/summary.{kind}", kind=["txt", "csv", "html"]),
    localrule: True


onsuccess:
    run.print_summary(SUMMARY, whole=not workflow.dag_settings.targets)


onerror:
    run.print_errors(STARTED)
