# From chains to datasets, tables and figures.
#
# in:  results/{experiment}/{point}/{regime}.nc  every chain of the study
# out: results/{experiment}/metrics.nc           one dataset per experiment
#      results/figures/{experiment}/             PNG and SVG
#      results/pictures/{experiment}/            PNG and SVG, of families with pictures
#      results/tables/                           theory_check, theory_verdicts, summary,
#                                                samples-{experiment}, mixture-{experiment},
#                                                published


rule gather:
    """Gather the chains of an experiment into one dataset."""
    input:
        chains=run.undamaged(chains.of_experiment, inputs.chains_of, workflow),
    output:
        metrics="results/{experiment}/metrics.nc",
    log:
        "logs/gather/{experiment}.log",
    conda:
        inputs.environment("other")
    resources:
        mem_mb=2000,
    params:
        files=inputs.chain_files_of,
        cells=inputs.cells_of,
        specifications=inputs.specifications_of,
        layout=inputs.layout_of,
        study=inputs.resolved_study_of,
    script:
        "../scripts/gather.py"


rule theory_check:
    """Compare simulation with theory: z-scores, and a verdict per experiment, regime and metric."""
    input:
        metrics=inputs.all_metrics,
    output:
        comparisons="results/tables/theory_check.csv",
        verdicts=report(
            "results/tables/theory_verdicts.csv",
            category="Tables",
            caption="../docs/theory_verdicts.rst",
        ),
    log:
        "logs/theory_check.log",
    conda:
        inputs.environment("other")
    resources:
        mem_mb=2000,
    params:
        study=inputs.study_of_results,
    script:
        "../scripts/theory_check.py"


rule figures:
    """Draw the figures of an experiment."""
    input:
        metrics="results/{experiment}/metrics.nc",
        trainings=steps.shown_trainings,
    output:
        directory=report(
            directory("results/figures/{experiment}"),
            patterns=["{figure}.svg"],
            category="Figures",
            subcategory="{experiment}",
            labels={"figure": "{figure}"},
            caption="../docs/figure.rst",
        ),
    log:
        "logs/figures/{experiment}.log",
    conda:
        inputs.environment("other")
    resources:
        mem_mb=2000,
    params:
        places=steps.shown_places,
        records=steps.shown_records,
        study=inputs.study_of_figures,
        headline=inputs.headline_of,  # for docs/report.rst and the caption
    script:
        "../scripts/figures.py"


rule samples:
    """Tabulate text that the models of an experiment generated (P1 Table 1)."""
    input:
        shards=steps.shown_shards,
    output:
        table=report(
            "results/tables/samples-{experiment}.csv",
            category="Tables",
            caption="../docs/samples.rst",
        ),
    log:
        "logs/samples/{experiment}.log",
    conda:
        inputs.environment("other")
    resources:
        mem_mb=1000,
    params:
        places=steps.written_places,
        shards=steps.written_shards,
    script:
        "../scripts/samples.py"


rule mixtures:
    """Tabulate, for each number of real samples, what synthetic samples improve (P2)."""
    input:
        metrics="results/{experiment}/metrics.nc",
    output:
        table=report(
            "results/tables/mixture-{experiment}.csv",
            category="Tables",
            caption="../docs/mixture.rst",
        ),
    log:
        "logs/mixtures/{experiment}.log",
    conda:
        inputs.environment("other")
    resources:
        mem_mb=1000,
    params:
        study=inputs.study_of,
    script:
        "../scripts/mixtures.py"


rule pictures:
    """Draw samples and reconstructions of the models of an experiment (P1 Fig. 7 and 12)."""
    input:
        portraits=steps.shown_pictures,
    output:
        directory=report(
            directory("results/pictures/{experiment}"),
            patterns=["{picture}.svg"],
            category="Pictures",
            subcategory="{experiment}",
            labels={"picture": "{picture}"},
            caption="../docs/pictures.rst",
        ),
    log:
        "logs/pictures/{experiment}.log",
    conda:
        inputs.environment("other")
    resources:
        mem_mb=2000,
    params:
        places=steps.shown_places,
        portraits=steps.shown_portraits,
        family=inputs.family_of,
        headline=inputs.headline_of,  # for the caption
    script:
        "../scripts/pictures.py"


rule published:
    """Compare results with published values, of the families or of the study (P1 Table 2)."""
    input:
        metrics=inputs.published_metrics,
    output:
        table=report(
            "results/tables/published.csv",
            category="Tables",
            caption="../docs/published.rst",
        ),
    log:
        "logs/published.log",
    conda:
        inputs.environment("other")
    resources:
        mem_mb=1000,
    params:
        study=inputs.study_of_published,
    script:
        "../scripts/published.py"


rule summary:
    """Summarise the change of the headline metric under each regime in one table."""
    input:
        metrics=inputs.all_metrics,
        verdicts="results/tables/theory_verdicts.csv",
    output:
        text="results/tables/summary.txt",
        table=report(
            "results/tables/summary.csv",
            category="Tables",
            caption="../docs/summary.rst",
        ),
        page="results/tables/summary.html",
    log:
        "logs/summary.log",
    conda:
        inputs.environment("other")
    resources:
        mem_mb=1000,
    params:
        study=inputs.study_of_results,
    script:
        "../scripts/summary.py"
