# Model-data feedback loops: fit, sample, let a regime decide what to train on next, refit.
#
#   snakemake --profile profiles/local                      the study named in config/config.yaml
#   snakemake --profile profiles/local --config study=PATH  another one
#   snakemake -n                                            what would run
#   snakemake plan --cores 1                                what it would cost
from pathlib import Path

from snakemake.utils import min_version

min_version("9.0")

PROJECT = Path(workflow.basedir)


configfile: PROJECT / "config" / "config.yaml"


include: "rules/common.smk"
include: "rules/lineage.smk"
include: "rules/closed_form.smk"
include: "rules/iterations.smk"
include: "rules/results.smk"
include: "rules/plan.smk"


report: "docs/report.rst"


localrules:
    all,
    plan,


rule all:
    """Every figure and table of the study."""
    default_target: True
    input:
        # Named here, so that one that is lost is made again though what followed is there.
        chains=[
            chain_file(spec)
            for name in STUDY.experiments
            for spec in STUDY.chains(name)
        ],
        metrics=all_metrics,
        figures=expand("results/figures/{experiment}", experiment=STUDY.experiments),
        samples=expand("results/tables/samples-{experiment}.csv", experiment=WRITING),
        mixtures=expand("results/tables/mixture-{experiment}.csv", experiment=MIXING),
        pictures=expand("results/pictures/{experiment}", experiment=PICTURED),
        published="results/tables/published.csv" if PUBLISHED else [],
        theory="results/tables/theory_check.csv",
        summary="results/tables/summary.txt",


onsuccess:
    print_summary()


onerror:
    print_errors()
