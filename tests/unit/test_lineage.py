"""Lineage: where the files of iterative chains are, and what follows from what."""

import re
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from snakemake.iocontainers import Wildcards

from collapse import families, seeding
from collapse.artifacts import identity
from collapse.artifacts.paths import Branch, Points
from collapse.families.declarations import STAGES, all_of, extra_of, identifying
from collapse.loop import blocks
from collapse.loop.branches import Branches
from collapse.loop.inputs import Inputs
from collapse.loop.lineage import Lineage
from collapse.loop.step_files import PlannedStep, StepFiles
from collapse.loop.step_inputs import StepInputs
from collapse.regimes import NAMED, Regime
from collapse.study import Study
from collapse.study.chain_spec import ChainSpec

PROJECT = Path(__file__).parents[2]
POINT = "dimension=2__samples=10"
GAUSSIAN = {
    "family": "gaussian", "per_iteration": True, "regimes": ["replace", "accumulate-subsample"],
    "iterations": 3, "seeds": 1, "samples": 10, "grid": {"dimension": [2]},
}  # fmt: skip
TEXT = {
    "family": "language_model", "regimes": ["replace", "accumulate"],
    "iterations": 3, "seeds": 2, "samples": 100,
    "grid": {
        "model": ["tiny", "gpt2-9m"], "epochs": [1.0], "vocabulary": [512],
        "temperature": [1.0, 0.5], "judged": [50, 60],
    },
}  # fmt: skip
POINTS = Points("data", "training", "generation", "evaluation", "later")


def branch(regime, n=10, shard_size=10, seed=3, evaluated_samples=1):
    return Branch("loop", POINTS, "mine", regime, seed, n, shard_size, evaluated_samples)


def study(regimes=None, **experiments):
    return Study.model_validate({"experiments": experiments, "regimes": regimes or {}})


def inputs(plan, job_holds="step"):
    return Inputs(plan, {"neural": "gpu", "other": "cpu"}, PROJECT, job_holds=job_holds)


def rules(plan, job_holds="step"):
    return StepInputs(inputs(plan, job_holds))


def at(point, regime, iteration, seed=0, experiment="loop"):
    places = {"experiment": experiment, "point": point, "regime": regime, "kind": "", "start": "0"}
    return Wildcards(
        fromdict={**places, "stop": "10", "seed": str(seed), "iteration": str(iteration)}
    )


@pytest.mark.parametrize(
    ("t", "training", "generation", "evaluation"),
    [
        (1, "training/real", "generation/real", "evaluation/real"),
        (2, "later/mine", "later/mine", "later/mine"),
    ],
)
def test_iteration_1_stands_under_real_and_later_ones_under_their_regime(
    t, training, generation, evaluation
):
    """What iterations 1 share stands at the point that each step knows."""
    chain, iteration = branch(NAMED["replace"]), f"seed3/iter{t}"
    assert chain.data == "results/loop/data/data"
    assert chain.training_set(t) == f"results/loop/{training}/{iteration}/training_set.json"
    assert chain.model(t) == f"results/loop/{training}/{iteration}/model"
    assert chain.training(t) == f"results/loop/{training}/{iteration}/training.json"
    assert chain.metrics(t) == f"results/loop/{evaluation}/{iteration}/metrics.json"
    (shard,) = chain.shards(t)
    assert shard.path == f"results/loop/{generation}/{iteration}/synthetic/0-10.parquet"
    assert shard.record == f"results/loop/{generation}/{iteration}/synthetic/0-10.json"


@given(
    st.sampled_from([*NAMED.values(), Regime(keep_real=True, generate=7), Regime(keep_real=True)]),
    st.integers(1, 6),
    st.integers(1, 30),
    st.integers(1, 40),
)
def test_shards_hold_what_the_next_iteration_needs_cut_by_their_size(regime, t, n, shard_size):
    shards = branch(regime, n, shard_size).shards(t)
    needed = regime.generated(t + 1, n)
    assert [shard.start for shard in shards[1:]] == [shard.stop for shard in shards[:-1]]
    assert shards[0].start == 0 and shards[-1].start < needed <= shards[-1].stop
    assert shards[-1].stop == needed or t == 1
    cuts = {n, needed} if t == 1 else {needed}
    assert all(shard.stop % shard_size == 0 or shard.stop in cuts for shard in shards)
    assert all(shard.stop - shard.start <= shard_size for shard in shards)
    assert all(shard.path.endswith(f"/{shard.start}-{shard.stop}.parquet") for shard in shards)


@given(st.integers(1, 30), st.integers(1, 12), st.integers(0, 90), st.integers(0, 90))
def test_regimes_share_what_iteration_1_writes(n, shard_size, first, second):
    """Within the first n samples, and beyond them where they need whole shards."""
    one, two = (
        set(branch(Regime(keep_real=False, generate=count), n, shard_size).shards(1))
        for count in (first, second)
    )
    shared = min(first, second)
    for shard in one ^ two:
        assert shard.stop > min(n, shared)
        assert shard.stop > shared or shard.stop in (first, second)
    assert {each for each in one if each.stop <= min(n, shared)} <= two


def test_replace_multiple_writes_ever_more_shards():
    several = NAMED["replace-multiple"]
    assert [len(branch(several).shards(t)) for t in (1, 2, 3)] == [2, 3, 4]
    bounds = [(shard.start, shard.stop) for shard in branch(several, shard_size=8).shards(1)]
    assert bounds == [(0, 8), (8, 10), (10, 16), (16, 20)]


@given(
    st.builds(Regime, keep_real=st.booleans(), generate=st.sampled_from(["n", "tn", "0.5n", 0, 3])),
    st.integers(1, 30),
    st.integers(1, 40),
)
def test_iteration_1_is_judged_by_the_same_samples_under_every_regime(regime, n, shard_size):
    judged = branch(regime, n, shard_size).evaluated_shards(1)
    assert judged == branch(NAMED["replace"], n, shard_size).evaluated_shards(1)
    assert len(judged) == 1
    assert (judged[0].start, judged[0].stop) == (0, min(n, shard_size))


@given(st.sampled_from(list(NAMED.values())), st.integers(2, 6), st.integers(1, 40))
def test_later_iterations_are_judged_by_what_is_trained_on(regime, t, shard_size):
    """No sample is written for the metrics alone."""
    chain = branch(regime, 10, shard_size)
    assert chain.evaluated_shards(t) == chain.shards(t)[:1]


@given(st.integers(1, 30), st.integers(1, 40), st.integers(1, 40))
def test_so_many_samples_are_evaluated_however_they_are_cut(n, shard_size, count):
    chain = branch(NAMED["replace"], n, shard_size, evaluated_samples=count)
    for t in (1, 2):
        shards = chain.evaluated_shards(t)
        assert shards[0].start == 0
        assert shards[-1].start < count
        assert shards[-1].stop >= min(n, count)


def test_a_regime_without_synthetic_data_is_judged_without():
    chain = branch(Regime(keep_real=True, generate=0))
    assert chain.shards(2) == chain.evaluated_shards(2) == []


def test_a_files_point_names_what_matters_to_it():
    (gaussian, *_) = Branches(study(loop=GAUSSIAN), "loop").all()
    assert gaussian.data == "results/loop/data/any"  # of which nothing is varied
    *_, last = Branches(study(text=TEXT), "text").all()
    names = last.points
    assert named(names.data) == {"vocabulary"}
    assert named(names.training) == {"vocabulary", "model", "epochs", "samples"}
    assert named(names.generation) == named(names.training) | {"temperature"}
    assert named(names.evaluation) == named(names.generation) | {"judged"}


def named(point):
    return {each.split("=")[0] for each in point.split("__")}


def test_points_share_what_does_not_tell_them_apart():
    chains = list(Branches(study(text=TEXT), "text").all())
    assert len(chains) == 2 * 2 * 2 * 2 * 2
    assert len({chain.data for chain in chains}) == 1
    assert len({chain.model(1) for chain in chains}) == 2 * 2  # models and seeds
    assert len({chain.shards(1)[0].path for chain in chains}) == 2 * 2 * 2  # and temperatures
    assert len({chain.metrics(1) for chain in chains}) == 2 * 2 * 2 * 2
    assert len({chain.model(2) for chain in chains}) == len(chains)
    assert len({chain.metrics(2) for chain in chains}) == len(chains)


def test_a_step_knows_the_parameters_up_to_its_stage():
    branches = Branches(study(text=TEXT), "text")
    family = families.load("language_model")
    for chain in branches.all():
        for index, stage in enumerate(STAGES):
            step = branches.step(getattr(chain.points, stage), "real", 0, 1, stage)
            for key in family.parameters.model_fields:
                added = extra_of(family.parameters.model_fields[key]).get("added", False)
                assert (key in step.parameters) == (family.stage_of(key) <= index and not added)


def steps_of(plan, experiment="loop"):
    """What every step of every chain of a study may depend on, by stage, file and step."""
    branches = Branches(plan, experiment)
    found = {}
    for chain in branches.all():
        iterations = range(1, branches.experiment.iterations + 1)
        for stage in STAGES:
            for t in iterations:
                shared = t == 1 or stage == "data"
                regime = seeding.REAL if shared else chain.regime_name
                seed = 0 if stage == "data" else chain.seed
                point = getattr(chain.points, stage) if shared else chain.points.later
                step = branches.step(point, regime, seed, t, stage).as_dict()
                place = (stage, point, regime, seed, t)
                assert found.setdefault(place, step) == step
    return found


#: Other studies in which everything of the first is, too.
EXTENSIONS = {
    "iterations": {"iterations": 9},
    "seeds": {"seeds": [5, 0, 1, 2]},
    "regimes": {"regimes": ["accumulate", "replace", "accumulate-subsample"]},
    "points": {"samples": [7, 10, 100]},
    "grid": {"grid": {"dimension": [1, 2, 3]}},
    "shard size": {"shard_size": 3},
    "retention": {"keep_models": "none"},
    "evaluations": {"iterations": 9, "evaluations": 3},
    "selection": {"regimes": ["replace", "best", "accumulate-subsample", "weighed", "arriving"]},
    "start": {"regimes": ["next", "replace", "accumulate-subsample"]},
}
CHOOSING = {
    "best": {"keep_real": [True], "select": {"score": ["distance"], "candidates": [4]}},
    "weighed": {"keep_real": [True], "weigh": {"score": ["distance"], "power": [-1.0]}},
    "arriving": {"keep_real": [True], "fresh_real": ["0.5n"], "provenance": ["bernoulli"]},
}
NEXT = {"next": {"keep_real": [True], "start": ["previous"]}}


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_extending_a_study_changes_no_step_of_it(extension):
    before = steps_of(study(loop=GAUSSIAN))
    regimes = CHOOSING | NEXT
    after = steps_of(study(regimes, loop=GAUSSIAN | EXTENSIONS[extension], other=GAUSSIAN))
    assert before.items() <= after.items()


@pytest.mark.parametrize("key", ["model", "temperature", "judged", "samples", "epochs"])
def test_new_values_change_no_step_of_the_others(key):
    """Also where they come first, and so are the first to name what all points share."""
    before = steps_of(study(loop=TEXT))
    values = {"model": "llama2-12m", "temperature": 0.1, "judged": 2, "samples": 7, "epochs": 3.0}
    grid = {key: [values[key], *TEXT["grid"].get(key, ())]}
    if key == "samples":
        grown = TEXT | {key: [values[key], TEXT[key]]}
    else:
        grown = TEXT | {"grid": TEXT["grid"] | grid}
    after = steps_of(study(loop=grown))
    assert before.items() <= after.items()


SETTINGS = {
    "data": ("documents", 50),
    "training": ("batch", 7),
    "generation": ("start", "first-token"),
    "evaluation": ("judged", 3),
}


@pytest.mark.parametrize("stage", SETTINGS)
def test_a_setting_matters_from_its_stage_on(stage):
    key, value = SETTINGS[stage]
    plan = {**TEXT, "grid": {"model": ["tiny"]}}
    plain = steps_of(study(loop=plan))
    changed = steps_of(study(loop={**plan, "settings": {key: value}}))
    assert plain.keys() == changed.keys()
    first = STAGES.index(stage)
    for place in plain:
        assert (plain[place] != changed[place]) == (STAGES.index(place[0]) >= first)


def made_of(plan, versions=None):
    """What each artifact of a study is made of, by the path of its record."""
    branches = Branches(plan, "loop")
    by_steps = replace(branches.family.by_steps, versions=versions or {})
    branches.family = replace(branches.family, iterative=by_steps)
    lineage, found = Lineage(branches, {}), {}
    for chain in branches.all():
        if by_steps.has_dataset:
            found[chain.dataset] = lineage.prepare(chain.points.data)
        for t in range(1, branches.experiment.iterations + 1):
            found[chain.training_set(t)] = lineage.assemble(chain, t)
            found[chain.training(t)] = lineage.train(chain, t)
            for shard in {*chain.shards(t), *chain.evaluated_shards(t)}:
                made = lineage.generate(chain, t, shard)
                assert found.setdefault(shard.record, made) == made
            found[chain.evaluation(t)] = lineage.evaluate(chain, t)
    return found


@pytest.mark.parametrize("extension", sorted(EXTENSIONS.keys() - {"shard size"}))
def test_extending_a_study_changes_the_identity_of_nothing_in_it(extension):
    before = made_of(study(loop=GAUSSIAN))
    regimes = CHOOSING | NEXT
    after = made_of(study(regimes, loop=GAUSSIAN | EXTENSIONS[extension], other=GAUSSIAN))
    assert before.items() <= after.items()


def test_a_model_that_starts_from_the_one_before_is_made_of_it():
    plan = study(NEXT, loop={**TEXT, "regimes": ["accumulate", "next"], "seeds": 1})
    branches = Branches(plan, "loop")
    files = StepFiles(branches, Lineage(branches, {}))
    for chain in branches.all():
        for t in (1, 2, 3):
            train = PlannedStep("train", chain, t)
            from_previous = chain.regime_name == "next" and t > 1
            asked, inputs = files.inputs(train), files.made_of(train)["inputs"]
            assert (asked.get("previous") == chain.model(t - 1)) == from_previous
            assert (chain.training(t - 1) in inputs) == from_previous
            assert files.checkpoints(train) == ([t - 1, t] if from_previous else [t])


def test_identities_of_long_chains_are_found_without_recursion():
    """Also if nothing is generated, and so no training set is made of a model."""
    for written in ("n", 0):
        regimes = {"next": {"keep_real": [True], "generate": [written], "start": ["previous"]}}
        plan = {**TEXT, "regimes": ["next"], "iterations": 2000, "grid": {"model": ["tiny"]}}
        branches = Branches(study(regimes, loop=plan), "loop")
        (chain, *_) = branches.all()
        assert len(Lineage(branches, {}).train(chain, 2000)["inputs"]) == 3
        assert Lineage(branches, {}).assemble(chain, 2000)["inputs"]


def test_what_selects_nothing_is_made_of_what_it_always_was():
    """So that no result of earlier versions is made again."""
    settings = {"generate": {"start", "stop"}, "assemble": {"keep_real", "memory", "budget"}}
    for made in made_of(study(loop=GAUSSIAN)).values():
        assert made.get("settings", {}).keys() <= settings.get(made["rule"], set())
        assert made["step"].keys() == {
            *("experiment", "point", "data_point", "regime", "seed", "iteration", "family"),
            *("parameters", "samples"),
        }


@given(st.data())
def test_parameters_follow_from_those_that_identify(data):
    for name in ("language_model", "fine_tuning"):
        model = families.load(name).parameters
        values = {"top_k": st.none() | st.integers(1, 9), "top_p": st.none() | st.just(0.5)}
        chosen = model(**{key: data.draw(value) for key, value in values.items()}).model_dump()
        known = identifying(model, chosen)
        assert all_of(model, known) == chosen
        assert {key for key in values if key in known} == {k for k in values if chosen[k]}


def test_a_parameter_that_was_added_is_in_an_identity_with_another_value_alone():
    fields = families.load("language_model").parameters.model_fields
    (defaults, same, other) = (
        study(loop={**TEXT, "settings": settings})
        for settings in ({}, {"top_k": None, "top_p": None}, {"top_k": 7})
    )
    assert extra_of(fields["top_k"])["added"]
    before, after = made_of(defaults), made_of(other)
    assert before == made_of(same)
    for record, made in after.items():
        rule, first = made["rule"], made["step"]["iteration"] == 1
        known = rule in ("generate", "evaluate")
        assert made["step"]["parameters"].get("top_k") == (7 if known else None)
        assert (made == before[record]) != (known or not first)
    (one, *_), (two, *_) = (list(plan.chains("loop")) for plan in (defaults, other))
    assert "top_k" not in one.as_dict()["parameters"] and one.cell["top_k"] is None
    assert two.as_dict()["parameters"]["top_k"] == 7
    assert [ChainSpec.parse(each.as_dict()) for each in (one, two)] == [one, two]


@pytest.mark.parametrize("name", CHOOSING)
def test_shards_with_scores_are_a_regimes_own_from_iteration_1_on(name):
    """Metrics of samples are those of what the model writes, which iterations 1 share."""
    plan = study(CHOOSING, loop={**TEXT, "regimes": ["replace"]}, mine=GAUSSIAN | {
        "regimes": [name], "shard_size": 4})  # fmt: skip
    branches = Branches(plan, "mine")
    (chain,), regime = branches.all(), plan.regime_table[name]
    lineage, scored = Lineage(branches, {}), bool(regime.scores)
    for t in (1, 2):
        shards, evaluated = chain.shards(t), chain.evaluated_shards(t)
        assert sum(one.stop - one.start for one in shards) >= chain.regime.generated(t + 1, 10)
        own = name if scored or t > 1 else seeding.REAL
        folder = f"/{own}/seed0/iter{t}/synthetic{'-scored' if scored else ''}/"
        assert all(folder in one.path and one.scored == scored for one in shards)
        selected = t > 1 and name == "best"
        assert all(one in shards for one in evaluated) == (not selected and (t > 1 or not scored))
        made = lineage.generate(chain, t, shards[0])
        assert made["settings"].keys() == {"start", "stop", *regime.scoring}
        assert shards[0].record in lineage.assemble(chain, t + 1)["inputs"]
        assert evaluated[0].record in lineage.evaluate(chain, t)["inputs"]
        place = Wildcards(fromdict={**vars(at(chain.points.generation, own, t, experiment="mine")),
            "kind": shards[0].kind, "start": "0", "stop": str(shards[0].stop)})  # fmt: skip
        step = rules(plan).step_of("generate", place)
        assert (step.shard, step.log) == (
            shards[0],
            f"logs/generate/mine/{POINT}/{own}/seed0/iter{t}{shards[0].kind}-0-4.log",
        )


#: What each step's artifact depends on: the steps from which its chain reaches it.
FOLLOWS = {
    "prepare": {"prepare", "assemble", "train", "generate", "evaluate"},
    "assemble": {"assemble", "train", "generate", "evaluate"},
    "train": {"train", "generate", "evaluate"},
    "generate": {"generate", "evaluate"},
    "evaluate": {"evaluate"},
}


@pytest.mark.parametrize("rule", FOLLOWS)
def test_a_version_changes_what_follows_from_its_step_and_nothing_else(rule):
    """At iteration 1; of a later one everything follows from the shards of the one before."""
    plan = study(loop={**TEXT, "grid": {"model": ["tiny"]}})
    plain, raised = made_of(plan), made_of(plan, {rule: 7})
    for record, made in plain.items():
        first = made["step"]["iteration"] == 1
        follows = made["rule"] in FOLLOWS[rule] or (not first and rule != "evaluate")
        changed = identity.identity(made) != identity.identity(raised[record])
        assert changed == follows, record


@pytest.mark.parametrize(("base", "follows"), [("stories", True), ("hub:a/b", False)])
def test_a_version_of_the_base_changes_what_starts_from_it(base, follows):
    plan = study(loop={**TEXT, "family": "fine_tuning", "grid": {"base": [base]}})
    plain, raised = made_of(plan), made_of(plan, {"base": 7})
    for record, made in plain.items():
        assert (identity.identity(made) != identity.identity(raised[record])) == follows, record


@pytest.mark.parametrize("stage", SETTINGS)
def test_a_setting_changes_the_identity_of_what_follows_from_its_stage(stage):
    key, value = SETTINGS[stage]
    plan = {**TEXT, "grid": {"model": ["tiny"]}, "iterations": 1}
    plain = made_of(study(loop=plan))
    changed = made_of(study(loop={**plan, "settings": {key: value}}))
    first = {"data": "prepare", "training": "assemble", "generation": "generate"}.get(stage)
    for record, made in plain.items():
        differs = identity.identity(made) != identity.identity(changed[record])
        assert differs == (made["rule"] in FOLLOWS[first or "evaluate"])


def test_a_step_says_in_words_what_differs():
    plan = {**TEXT, "grid": {"model": ["tiny"]}, "iterations": 1}
    plain = made_of(study(loop=plan))
    changed = made_of(study(loop={**plan, "settings": {"batch": 7}}), {"train": 2})
    (record,) = {
        record for record, made in plain.items() if record.endswith("seed0/iter1/training.json")
    }
    assert identity.differences(plain[record], changed[record]) == [
        "version 1 -> 2",
        "batch 4 -> 7",
        f"another {record.replace('training.json', 'training_set.json')}",
    ]


def test_an_unknown_point_is_an_error():
    branches = Branches(study(loop=GAUSSIAN), "loop")
    with pytest.raises(KeyError):
        branches.branch("dimension=3__samples=10", "replace", 0)


# What the rules ask.


@pytest.mark.parametrize("regime", ["replace", "accumulate", "accumulate-subsample"])
def test_a_step_has_as_many_inputs_at_iteration_400_as_at_iteration_3(regime):
    """So that the DAG of a chain grows with its length, not with its square."""
    asked = rules(study(loop=GAUSSIAN | {"regimes": [regime], "iterations": 400}))
    for rule in ("assemble", "train", "generate", "evaluate"):
        function = asked.inputs_of(rule)
        early, late = (function(at(POINT, regime, t)).values() for t in (3, 400))
        sizes = [[isinstance(one, str) or len(one) for one in named] for named in (early, late)]
        assert sum(sizes[0]) == sum(sizes[1]) <= 5


def test_a_training_set_follows_from_the_one_before_and_the_newest_shards():
    asked = rules(study(loop=GAUSSIAN | {"regimes": ["replace-multiple"], "shard_size": 10}))
    chain = asked._branches["loop"].branch(POINT, "replace-multiple", 0)
    assert asked.inputs_of("assemble")(at(POINT, "replace-multiple", 3)) == {
        "previous": chain.training_set(2),
        "shards": [shard.path for shard in chain.shards(2)],
        "records": [shard.record for shard in chain.shards(2)],
    }
    assert asked.inputs_of("assemble")(at(POINT, "real", 1)) == {}


def test_what_is_read_from_files_is_an_input_of_all_that_reads_it():
    asked = rules(study(loop=TEXT))
    (chain, *_) = asked._branches["loop"].all()
    where = at(chain.points.later, "replace", 2)
    for rule in ("train", "generate", "evaluate"):
        assert asked.inputs_of(rule)(where)["data"] == chain.data
    assert "data" not in asked.inputs_of("assemble")(where)
    assert asked.inputs_of("assemble")(at(chain.points.training, "real", 1)) == {"data": chain.data}


def test_the_metrics_of_a_chain_are_those_of_evaluated_iterations_seed_by_seed():
    plan = GAUSSIAN | {"seeds": [4, 1], "iterations": 50, "evaluations": 3}
    asked = rules(study(loop=plan))
    named = asked.metrics_of(at(POINT, "replace", 1)).value
    assert asked.collected_of(at(POINT, "replace", 1)) == named
    assert [name.removeprefix(f"results/loop/{POINT}/") for name in named] == [
        f"{'real' if t == 1 else 'replace'}/seed{seed}/iter{t}/metrics.json"
        for seed in (4, 1)
        for t in (1, 7, 50)
    ]


@pytest.mark.parametrize(
    ("holds", "records"),
    [("chain", ["replace/seed0/iter3/chain"]),
     ("iteration", ["replace/seed0/iter2/iteration", "replace/seed0/iter3/iteration"])],
)  # fmt: skip
def test_jobs_of_several_steps_stand_for_the_files_of_their_steps(holds, records):
    asked = rules(study(loop={**GAUSSIAN, "regimes": ["replace"]}), holds)
    expected = [
        f"results/loop/{POINT}/{place}.json" for place in [f"real/seed0/iter1/{holds}", *records]
    ]
    assert asked.collected_of(at(POINT, "replace", 1)) == expected
    before = [asked.before_block(at(POINT, "replace", t)) for t in (2, 3)]
    follows = [expected[0], expected[-2]]
    assert [each["before"] for each in before] == [[path] for path in follows]


def test_a_job_of_iteration_1_holds_the_steps_of_all_points_that_share_its_training():
    asked = rules(
        study(loop={**TEXT, "grid": {"model": ["tiny"], "temperature": [1.0, 0.5]}}), "chain"
    )
    blocks = asked._inputs.blocks["loop"]
    (one, *_) = blocks.files.branches.all()
    steps = blocks.steps(one, 1)
    assert [step.rule for step in steps] == ["assemble", "train"] + ["generate", "evaluate"] * 2
    assert len({step.record for step in steps}) == len(steps)


@pytest.mark.parametrize(("family", "samples", "holds"), [
    ("gaussian", 10, "chain"), ("language_model", 100, "chain"), ("language_model", 10**8, None),
])  # fmt: skip
def test_a_job_holds_a_chain_if_its_iterations_are_short(family, samples, holds):
    plan = {**(GAUSSIAN if family == "gaussian" else TEXT), "samples": samples}
    branches = Branches(study(loop=plan), "loop")
    assert blocks.chosen(branches, None, on_cluster=False) == (holds or "step")
    assert blocks.chosen(branches, None, on_cluster=True) == (holds or "iteration")
    assert blocks.chosen(branches, "step", on_cluster=True) == "step"
    said = Branches(study(loop={**plan, "job_holds": "iteration"}), "loop")
    assert blocks.chosen(said, "step", on_cluster=True) == "iteration"


@pytest.mark.parametrize(
    ("keep", "unkept"), [("all", set()), ("none", {1, 4, 5, 55}), ("last", {1, 4, 55})]
)
@pytest.mark.parametrize("regime", ["replace", "iter", "iterate", "iter7"])
def test_which_models_are_not_kept(keep, unkept, regime):
    own = {"iter": {"keep_real": True}, "iterate": {"keep_real": True}, "iter7": {"keep_real": 2}}
    plan = GAUSSIAN | {"keep_models": keep, "iterations": 5, "regimes": [regime]}
    other = GAUSSIAN | {"keep_models": "all"}
    asked = rules(study(own, loop=plan, loop2=other))
    outputs = product(("model", "training.json"), ("loop", "loop2"), (1, 4, 5, 55))
    for output, name, t in outputs:
        path = f"results/{name}/{POINT}/{regime}/seed0/iter{t}/{output}"
        pattern = rf"results/(?P<experiment>{asked.unkept})/[^/]+/[^/]+/seed\d+/iter\d+/{output}$"
        assert bool(re.match(pattern, path)) == (t in unkept and name == "loop")


def test_chains_that_run_at_once_have_no_steps():
    asked = inputs(study(fast=GAUSSIAN | {"per_iteration": False}, loop=GAUSSIAN))
    assert set(asked.branches) == {"loop"}
    assert (asked.closed_form, asked.by_iteration) == ("fast", "loop")
