# Families that run by steps: every step of every iteration is a job with files.
#
# in:  the study, and the data files that it names
# out: results/bases/{base}/                                         model that experiments start from
#      results/{experiment}/data/{point}/                            real data, training and test
#      results/{experiment}/{point}/{regime}/seed{seed}/iter{t}/
#        training_set.json    sources, counts, checksums
#        model/               checkpoint
#        training.json        learning curve, cost
#        synthetic/           shards as Parquet, each with its record
#        synthetic-scored/    the same of regimes that select or weigh samples by a score
#        metrics.json         on real test data
#        evaluation.json      what the metrics are made of
#        portrait.npz         arrays that pictures show, of families with pictures
#      results/{experiment}/{point}/{regime}.nc                      metrics, seed x iteration
#
# Iteration 1 is stored under the regime `real`, except shards with scores, and a file's point names
# only the parameters that matter to the file (scripts/collapse/artifacts/paths.py). iter{t}/.training has the state from
# which an interrupted training continues. It is no output, because Snakemake deletes the outputs of
# failed jobs.
#
# What a job holds is the study's choice (job_holds, scripts/collapse/loop/blocks.py): a step, for
# which each step has a rule, or all steps of an iteration (rule iteration) or of a chain (whole_chain).
# These rules write the same files, of which Snakemake knows their record alone:
#      results/{experiment}/{point}/{regime}/seed{seed}/iter{t}/iteration.json, chain.json
ITERATION = "results/{experiment}/{point}/{regime}/seed{seed}/iter{iteration}"
STEP_LOG = "{experiment}/{point}/{regime}/seed{seed}/iter{iteration}"


rule base:
    """Pretrain a model from which experiments start, once for all that name the same one."""
    output:
        base=directory("results/bases/{base}"),
    log:
        "logs/base/{base}.log",
    wildcard_constraints:
        base=any_of(inputs.bases),  # the identity of what it is made of
    conda:
        inputs.environment("neural")
    threads: 1
    resources:
        mem_mb=4000,
    params:
        made_of=steps.made_of("base"),
        scratch="results/bases/.{base}.training",
    script:
        "../scripts/base.py"


rule prepare:
    """Write the real data of an experiment."""
    input:
        unpack(steps.base_of),
    output:
        data=directory("results/{experiment}/data/{point}"),
    log:
        "logs/prepare/{experiment}/{point}.log",
    conda:
        environment_of
    threads: 1
    resources:
        mem_mb=4000,
    params:
        made_of=steps.made_of("prepare"),  # with the checksums of the files that are read
        needed=steps.real_samples_of,
    script:
        "../scripts/prepare.py"


rule assemble:
    """Decide on the training set of an iteration."""
    input:
        unpack(steps.inputs_of("assemble")),
    output:
        training_set=f"{ITERATION}/training_set.json",
    log:
        f"logs/assemble/{STEP_LOG}.log",
    conda:
        environment_of
    threads: 1
    resources:
        mem_mb=1000,
    params:
        made_of=steps.made_of("assemble"),
    script:
        "../scripts/assemble.py"


rule train:
    """Train the model of an iteration."""
    input:
        unpack(steps.inputs_of("train")),
    output:
        model=directory(f"{ITERATION}/model"),
        record=f"{ITERATION}/training.json",
    log:
        f"logs/train/{STEP_LOG}.log",
    conda:
        environment_of
    threads: 1
    resources:
        mem_mb=8000,
        gpu=steps.training_gpus_of,
        nodes=1,  # otherwise SLURM may spread the GPUs over several nodes
    params:
        made_of=steps.made_of("train"),
        scratch=f"{ITERATION}/.training",
    script:
        "../scripts/train.py"


use rule train as train_unkept with:
    output:
        model=temp(directory(f"{ITERATION}/model")),
        record=f"{ITERATION}/training.json",
    wildcard_constraints:
        experiment=steps.unkept,


ruleorder: train_unkept > train


rule generate:
    """Generate one shard of samples from the model of an iteration."""
    input:
        unpack(steps.inputs_of("generate")),
    output:
        shard=f"{ITERATION}/synthetic{{kind}}/{{start}}-{{stop}}.parquet",
        record=f"{ITERATION}/synthetic{{kind}}/{{start}}-{{stop}}.json",
    log:
        f"logs/generate/{STEP_LOG}{{kind}}-{{start}}-{{stop}}.log",
    conda:
        environment_of
    threads: 1
    resources:
        mem_mb=8000,
        gpu=inputs.gpus,
    params:
        made_of=steps.made_of("generate"),
    script:
        "../scripts/generate.py"


rule evaluate:
    """Evaluate a model on real test data, and evaluate its samples."""
    input:
        unpack(steps.inputs_of("evaluate")),
    output:
        metrics=f"{ITERATION}/metrics.json",
        record=f"{ITERATION}/evaluation.json",
    log:
        f"logs/evaluate/{STEP_LOG}.log",
    conda:
        environment_of
    threads: 1
    resources:
        mem_mb=8000,
        gpu=inputs.gpus,
    params:
        made_of=steps.made_of("evaluate"),
    script:
        "../scripts/evaluate.py"


use rule evaluate as evaluate_pictured with:
    output:
        metrics=f"{ITERATION}/metrics.json",
        record=f"{ITERATION}/evaluation.json",
        portrait=f"{ITERATION}/portrait.npz",
    wildcard_constraints:
        experiment=any_of(inputs.pictured),


ruleorder: evaluate_pictured > evaluate


rule iteration:
    """Run all steps of an iteration in one job."""
    input:
        unpack(steps.before_block),
    output:
        record=f"{ITERATION}/iteration{{number}}.json",
    log:
        f"logs/iteration/{STEP_LOG}{{number}}.log",
    wildcard_constraints:
        number=records.NUMBER,
    conda:
        environment_of
    threads: 1
    resources:
        mem_mb=8000,
        gpu=steps.training_gpus_of,
        nodes=1,
    params:
        made_of=steps.block_identity,
        apart=steps.apart,
        afresh=steps.block_afresh,
        holds="iteration",
    script:
        "../scripts/iteration.py"


use rule iteration as whole_chain with:
    output:
        record=f"{ITERATION}/chain{{number}}.json",
    log:
        f"logs/whole_chain/{STEP_LOG}{{number}}.log",
    params:
        made_of=steps.block_identity,
        apart=steps.apart,
        afresh=steps.block_afresh,
        holds="chain",


rule collect:
    """Collect the metrics of a chain, for all its seeds."""
    input:
        metrics=steps.collected_of,
    output:
        chain="results/{experiment}/{point}/{regime}.nc",
    log:
        "logs/collect/{experiment}/{point}/{regime}.log",
    wildcard_constraints:
        experiment=inputs.by_iteration,
    conda:
        inputs.environment("other")
    threads: 1
    resources:
        mem_mb=1000,
    params:
        specification=inputs.chain_of,
        seeds=inputs.seeds_of,
        evaluations=steps.evaluations_of,
        metrics=steps.metrics_of,
    script:
        "../scripts/collect.py"
