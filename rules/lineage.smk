# What follows from what in an iterative chain: the functions that rules/iterations.smk asks.
#
# in:  STUDY
# out: BRANCHES, UNKEPT, and the inputs and params of the steps
from collapse.loop.branches import Branches
from collapse.seeding import REAL

BRANCHES = {
    name: Branches(STUDY, name)
    for name, plan in STUDY.experiments.items()
    if plan.by_iteration
}


def any_of(names):
    """Regular expression of these names alone."""
    return "|".join(names) or "(?!)"


def _unkept():
    """Regular expression of experiments in a path whose model needs not be kept."""
    for name, branches in BRANCHES.items():
        if branches.plan.keep_models == "none":
            yield name
        elif branches.plan.keep_models == "last":
            yield rf"{name}(?=/.*/iter(?!{branches.plan.iterations}/)\d+/[^/]+$)"


UNKEPT = any_of(_unkept())


def branch_of(wildcards):
    """Chain of a step."""
    branches = BRANCHES[wildcards.experiment]
    return branches.branch(wildcards.point, wildcards.regime, wildcards.seed)


def step_at(stage):
    """Function that says where a step stands, and what may matter up to this stage."""

    def step(wildcards):
        regime, seed, iteration = (
            wildcards.get("regime", REAL),
            wildcards.get("seed", 0),
            wildcards.get("iteration", 1),
        )
        branches = BRANCHES[wildcards.experiment]
        found = branches.step(wildcards.point, regime, seed, iteration, stage)
        return found.as_dict()

    return step


def versions_of(step):
    """Function that gives the version of a family's numbers in a step."""

    def version(wildcards):
        return family_of(wildcards).STEP_VERSIONS[step]

    return version


def family_of(wildcards):
    """Module of an experiment's family."""
    return families.load(STUDY.experiments[wildcards.experiment].family)


def gpus_of(wildcards):
    """GPUs of a step: one for neural families, where the profile does not say otherwise."""
    return int(families.is_neural(family_of(wildcards)))


def training_gpus_of(wildcards):
    """GPUs of a training: as the study says, for neural families."""
    return gpus_of(wildcards) * STUDY.experiments[wildcards.experiment].gpus


def environment_of(wildcards):
    """Conda environment of a step."""
    return environment("neural" if gpus_of(wildcards) else "other")


def regime_of(wildcards):
    """Regime of a step, as plain values; iteration 1 is the same under every one."""
    return branch_of(wildcards).regime.model_dump()


def source_files(wildcards):
    """Files that a study names as its real data."""
    parameters = (
        BRANCHES[wildcards.experiment]
        .step(wildcards.point, REAL, 0, 1, "data")
        .parameters
    )
    return family_of(wildcards).source_files(parameters)


def _data(wildcards, branch):
    return {"data": branch.data} if family_of(wildcards).DATASET else {}


def _files(shards):
    """Shards as inputs; their records, with their checksums, say whether they are others now.

    So one that was lost and is made again runs nothing again that had been made of it.
    """
    return [ancient(shard.path) for shard in shards]


def sources_of(wildcards):
    """What an iteration's training set follows from: the one before, and the newest shards."""
    branch, t = branch_of(wildcards), int(wildcards.iteration)
    if t == 1:
        return _data(wildcards, branch)
    return {
        "previous": branch.training_set(t - 1),
        "shards": _files(branch.shards(t - 1)),
        "records": [shard.record for shard in branch.shards(t - 1)],
    }


def training_data_of(wildcards):
    """What a model is trained on; older shards are named by the manifest alone."""
    branch, t = branch_of(wildcards), int(wildcards.iteration)
    newest = branch.shards(t - 1) if t > 1 else []
    return {
        "training_set": branch.training_set(t),
        "shards": _files(newest),
        **_data(wildcards, branch),
    }


def model_of(wildcards):
    """Model that a shard is sampled from."""
    branch, t = branch_of(wildcards), int(wildcards.iteration)
    return {"model": branch.model(t), **_data(wildcards, branch)}


def evaluated_of(wildcards):
    """What an iteration is judged by."""
    branch, t = branch_of(wildcards), int(wildcards.iteration)
    shards = branch.evaluated_shards(t)
    return {
        "model": branch.model(t),
        "training_set": branch.training_set(t),
        "shards": _files(shards),
        "records": [shard.record for shard in shards],
        **_data(wildcards, branch),
    }


def metrics_of(wildcards):
    """Metrics of a chain, seed by seed, iteration by iteration."""
    plan = STUDY.experiments[wildcards.experiment]
    branches = BRANCHES[wildcards.experiment]
    found = []
    for seed in plan.seed_list:
        branch = branches.branch(wildcards.point, wildcards.regime, seed)
        found += [branch.metrics(t) for t in plan.evaluated]
    return found


def folders_of(wildcards):
    """Folders of the iterations of a chain, for all its seeds."""
    plan = STUDY.experiments[wildcards.experiment]
    branches = BRANCHES[wildcards.experiment]
    chains = [
        branches.branch(wildcards.point, wildcards.regime, seed)
        for seed in plan.seed_list
    ]
    steps = range(1, plan.iterations + 1)
    return [folder for chain in chains for t in steps for folder in chain.folders(t)]


def done_with(wildcards):
    """Folders of an iteration whose model is wanted no more once it is evaluated.

    A grid of mixtures has hundreds of last iterations, and collects them late.
    """
    plan = STUDY.experiments[wildcards.experiment]
    t = int(wildcards.iteration)
    if plan.keep_models != "none" or t < plan.iterations:
        return []
    return branch_of(wildcards).folders(t)


def _shown(wildcards, written=False):
    """Iterations, of one seed, that figures and tables show one by one: (place, branch)."""
    if wildcards.experiment not in BRANCHES:
        return
    branches = BRANCHES[wildcards.experiment]
    for branch in branches.all():
        if branch.seed != branches.plan.seed_list[0]:
            continue
        for t in branches.plan.evaluated:
            if not written or branch.evaluated_shards(t):
                yield (branch.points.later, branch.regime_name, t), branch


def shown_places(wildcards, written=False):
    """Point, regime and iteration of what is shown."""
    return [place for place, _ in _shown(wildcards, written)]


def shown_files(wildcards, what):
    """Records of training, portraits, or first shards, of what is shown."""
    if what == "training":
        return [branch.training(place[2]) for place, branch in _shown(wildcards)]
    if what == "portraits":
        return [branch.portrait(place[2]) for place, branch in _shown(wildcards)]
    return [
        branch.evaluated_shards(place[2])[0].path
        for place, branch in _shown(wildcards, written=True)
    ]


def _with(attribute):
    """Experiments whose family has something."""
    return [
        name
        for name, plan in STUDY.experiments.items()
        if hasattr(families.load(plan.family), attribute)
    ]


WRITING = [name for name in _with("SAMPLES_ARE_TEXT") if BRANCHES[name].judges_samples]
PICTURED = _with("PICTURES")
PUBLISHED = _with("PUBLISHED")


def published_metrics(wildcards):
    """Datasets of the experiments of whose family something is published as a table."""
    return expand("results/{experiment}/metrics.nc", experiment=PUBLISHED)
