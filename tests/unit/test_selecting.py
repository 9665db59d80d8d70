"""Regimes that select, weigh and draw provenance, in chains by steps."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from collapse import study as studies
from collapse.artifacts import manifest
from collapse.artifacts.step import Step
from collapse.artifacts.training_sets import selections, weights_of
from collapse.errors import JobError
from collapse.loop import candidates, selecting, steps
from collapse.loop.branches import Branches
from collapse.loop.plan import jobs
from collapse.regimes import Regime, realised
from collapse.study import Study, StudyError
from stepping import Loop

pytestmark = pytest.mark.usefixtures("at_home")

BEST = {"score": ["distance"], "candidates": [4]}
REGIMES = {
    "plain": {"keep_real": [True]},
    "one": {"keep_real": [True], "select": BEST | {"candidates": [1]}},
    "best": {"keep_real": [True], "select": BEST},
    "weighed": {"keep_real": [True], "weigh": {"score": ["distance"], "real": [0.25]}},
    "drawn": {
        "keep_real": [4],
        "memory": [2],
        "fresh_real": ["0.5n"],
        "provenance": ["bernoulli"],
        "budget": ["3n"],
        "weigh": {"score": ["distance"], "power": [-2.0], "real": [0.25]},
    },
}


def loop_of(regime, **changes):
    return Loop(regime=regime, regimes=REGIMES, **{"samples": 20, "shard_size": 7, **changes})


def tables(loop, t):
    """Return the samples of an iteration that the next one is given, without their scores."""
    found = [parquet.read_table(shard.path) for shard in loop.chain().shards(t)]
    return [table.select(["difference", "draw"]).to_pylist() for table in found]


# What is selected.


def test_the_best_of_one_candidate_is_the_sample_itself():
    """So selections are compared with their absence on the same random numbers."""
    plain, one = (loop_of(name) for name in ("plain", "one"))
    for loop in (plain, one):
        loop.iterate(1)
    assert tables(plain, 1) == tables(one, 1)
    one.iterate(2)
    found = json.loads(Path(one.chain().metrics(2)).read_text())
    assert found["accepted_share"] == 1 and found["wrongly_accepted"] == 0
    assert found["score_of_kept"] == found["score_of_candidates"]


RULES = {
    "best": {"candidates": 5, "error": 0.3},
    "softmax": {"candidates": 5, "rule": "softmax", "temperature": 0.3},
    "threshold": {"candidates": 300, "rule": "threshold", "threshold": 0.7, "error": 0.1},
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("at_once", [1, 37, 2**14])
def test_a_selected_sample_depends_on_its_slot_alone(rule, at_once, monkeypatch):
    """However shards are cut and slots are worked through in blocks."""
    loop = loop_of("plain")
    for step in (loop.assemble, loop.train):
        step(1)
    given = {"model": loop.chain().model(1), "data": None, "score": "reward"}
    given["select"] = {"score": "distance", **RULES[rule]}

    def shard(start, stop):
        key = loop.step(1, "generation")
        steps.generate("part.parquet", "part.json", key, start=start, stop=stop, **given)
        return parquet.read_table("part.parquet").to_pylist(), manifest.read_shard_record(
            "part.json"
        ).details["selection"]

    whole, sums = shard(0, 50)
    monkeypatch.setattr(selecting, "AT_ONCE", at_once)
    parts = [shard(*cut) for cut in ((0, 13), (13, 14), (14, 50))]
    assert [row for rows, _ in parts for row in rows] == whole
    for key, total in sums.items():
        assert sum(one[key] for _, one in parts) == pytest.approx(total)
    assert sums["slots"] == 50 and (sums["wrongly_accepted"] > 0) == ("error" in RULES[rule])
    assert not [path for path in Path().iterdir() if "candidates" in path.name]


def test_a_threshold_that_none_passes_is_one_line_with_the_acceptance_rate():
    never = {"score": ["distance"], "rule": ["threshold"], "threshold": [1e-3], "candidates": [20]}
    loop = Loop(regime="never", regimes={"never": {"keep_real": [True], "select": never}})
    for step in (loop.assemble, loop.train):
        step(1)
    with pytest.raises(JobError) as error:
        loop.generate(1)
    said = str(error.value)
    assert said.startswith("select.threshold: found 10 of 10 samples for iteration 2 ")
    assert "acceptance rate of 0; expected all to pass" in said and "\n" not in said
    assert not list(Path().rglob("*.candidates")) and not list(Path().rglob("*-scored/*"))


def test_uniform_numbers_are_of_their_slot_and_candidate():
    step = Step("e", "p", "any", "r", 0, 3, "gaussian", {}, 10)
    whole = candidates.uniforms(step, "selection", np.arange(2000), range(10))
    slots = np.array([3, 4, 17, 1999])
    np.testing.assert_array_equal(
        candidates.uniforms(step, "selection", slots, range(2, 5)), whole[slots, 2:5]
    )
    assert stats.kstest(whole.ravel(), "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(whole.T) - np.eye(10)).max() < 5 / np.sqrt(2000)


# How much samples count.


def test_weights_have_mean_1_the_share_of_real_samples_and_the_powers_of_scores():
    loop = loop_of("weighed")
    loop.run()
    described = manifest.read_training_set(loop.chain().training_set(3))
    chosen = selections(loop.step(3, "training"), described)
    weights = weights_of(chosen)
    assert len(weights) == 60 and weights.mean() == pytest.approx(1)
    real = np.concatenate([np.full(len(one.rows), one.kind == "real") for one in chosen])
    assert weights[real].sum() == pytest.approx(0.25 * 60)
    for one in chosen:
        if one.kind == "synthetic":
            scores = np.array(parquet.read_table(one.path)["score"])
            np.testing.assert_allclose(one.weights / weights[~real].sum(), scores / _total(chosen))
    effective = weights.sum() ** 2 / (weights**2).sum()
    found = json.loads(Path(loop.chain().metrics(3)).read_text())
    assert found["effective_sample_size"] == pytest.approx(effective)
    assert found["real_share"] == pytest.approx(0.25)


def _total(chosen):
    paths = [one.path for one in chosen if one.kind == "synthetic"]
    return sum(np.sum(parquet.read_table(path)["score"].to_numpy()) for path in paths)


def test_a_budget_draws_rows_as_often_as_their_weights_say():
    """Of 80 seeds with 60 draws each, against the probabilities of their pools."""
    loop = loop_of("drawn", seeds=80, iterations=2, samples=20)
    share, number = [], []
    for seed in range(80):
        for step in (loop.assemble, loop.train, loop.generate):
            step(1, seed)
        loop.assemble(2, seed)
        described = manifest.read_training_set(loop.chain(seed).training_set(2))
        chosen = selections(loop.step(2, "training", seed), described)
        assert weights_of(chosen) is None and sum(len(one.rows) for one in chosen) == 60
        drawn = [_scores(one)[one.rows] for one in chosen if one.kind == "synthetic"]
        pool = np.concatenate(
            [_scores(shard) for shard in loop.chain(seed).shards(1)] or [np.ones(1)]
        )
        near = pool < np.median(pool)
        weights = pool**-2.0 / (pool**-2.0).sum()
        count = sum(len(one) for one in drawn)
        below = sum((one < np.median(pool)).sum() for one in drawn)
        share.append((below - count * weights[near].sum()) / np.sqrt(max(1, count)))
        number.append(count)
    assert abs(np.mean(share)) < 5 * np.std(share) / np.sqrt(80)
    # Each draw is synthetic with probability 3/4.
    assert abs(np.mean(number) - 45) < 5 * np.sqrt(60 * 0.75 * 0.25 / 80)
    assert np.std(number) == pytest.approx(np.sqrt(60 * 0.75 * 0.25), rel=0.3)


def _scores(one):
    return parquet.read_table(one.path)["score"].to_numpy()


# Which samples are real.


def test_numbers_of_real_samples_are_binomial_and_those_of_a_shorter_chain_come_first():
    regime = Regime(keep_real=False, fresh_real="0.5n", generate="tn", provenance="bernoulli")
    drawn = [realised(regime, 10, 9, np.random.default_rng(seed)) for seed in range(500)]
    for t in (2, 9):
        real = np.array([one.fresh(t, 10) for one in drawn])
        arriving = 5 + 10 * t
        assert {one.fresh(t, 10) + one.generated(t, 10) for one in drawn} == {arriving}
        assert abs(real.mean() - 5) < 5 * np.sqrt(5 * (1 - 5 / arriving) / 500)
        assert real.var() == pytest.approx(5 * (1 - 5 / arriving), rel=0.3)
        assert drawn[0].pool_sizes(9, 10) == regime.pool_sizes(9, 10)
    for seed in range(20):
        shorter = realised(regime, 10, 5, np.random.default_rng(seed))
        assert shorter.drawn == drawn[seed].drawn[:4]
    plain = Regime(keep_real=True)
    assert realised(plain, 10, 5, np.random.default_rng(0)) is plain


def test_the_real_data_is_as_large_as_the_seed_that_draws_most_needs():
    loop = loop_of("drawn", seeds=5)
    needed = [loop.chain(seed).regime.real_samples(3, 20) for seed in range(5)]
    assert len(set(needed)) > 1
    assert loop.branches.real_samples(loop.point) == max(needed)


# Every combination of keys.


def mostly(right, *wrong):
    """Return values of which one in ten is wrong."""
    return st.integers(0, 9).flatmap(lambda one: right if one else st.sampled_from(wrong))


SCORES = mostly(st.sampled_from(["distance", "reward", "log_density"]), "grammatical")
OF_RULES = {
    "best": {},
    "softmax": {"temperature": mostly(st.sampled_from([0.5, 2]), 0.0)},
    "threshold": {"threshold": st.sampled_from([-5.0, 1.0]), "candidates": st.just(500)},
    "worst": {},
}
SELECTIONS = mostly(st.sampled_from(["best", "softmax", "threshold"]), "worst").flatmap(
    lambda rule: st.fixed_dictionaries(
        {"score": SCORES, "candidates": mostly(st.integers(1, 4), 0), "rule": st.just(rule)}
        | OF_RULES[rule],
        optional={"error": mostly(st.just(0.2), 1.5)},
    )
)
SHARES = mostly(st.sampled_from([0, 0.3, 1, "1*t^-1", "1-0.5*t^-1"]), 2, "t")
POWERS = st.sampled_from([-1, 0.5, 1])
WEIGHTS = mostly(
    st.fixed_dictionaries({"real": SHARES})
    | st.fixed_dictionaries({"score": SCORES}, optional={"real": SHARES, "power": POWERS}),
    {"power": 2},
)
COMBINATIONS = st.fixed_dictionaries(
    {"keep_real": st.sampled_from([True, False, 3])},
    optional={
        "memory": st.integers(1, 2),
        "budget": st.sampled_from(["n", "0.5n", "3n"]),
        "generate": st.sampled_from(["n", 0, "0.5n"]),
        "fresh_real": st.sampled_from(["0.5n", 2]),
        "provenance": st.sampled_from(["fixed", "bernoulli"]),
        "select": SELECTIONS,
        "weigh": WEIGHTS,
    },
)


def refusal(run, kind):
    """Return what is said of what can't run; empty if it runs."""
    try:
        run()
    except kind as error:
        return str(error)
    return ""


@given(COMBINATIONS, st.sampled_from([6, 20]))
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_combination_of_keys_runs_or_is_refused_in_one_line(tmp_path, regime, shard_size):
    experiment = {
        "family": "gaussian", "per_iteration": True, "iterations": 3, "seeds": 1, "samples": 6,
        "shard_size": shard_size, "grid": {"dimension": [2]},
    }  # fmt: skip
    document = {
        "regimes": {"mine": regime},
        "experiments": {"loop": experiment | {"regimes": ["mine"]}},
    }
    Path("study.yaml").write_text(yaml.safe_dump(document))
    said = refusal(lambda: studies.load("study.yaml"), StudyError)
    if said:
        assert said.startswith("study.yaml:") and "\n" not in said
        return
    defined = studies.plain(studies.load("study.yaml"))["regimes"]
    loop = Loop(regime="mine", regimes=defined, **experiment)
    said = refusal(loop.run, JobError)
    if said:  # what only the samples show
        assert said.startswith(("weigh: found a score", "select.threshold: found"))
        assert "\n" not in said
        return
    loop.collect()
    used = loop.study.regime_table["mine"]
    found = json.loads(Path(loop.chain().metrics(3)).read_text())
    assert np.isfinite(found["trace_ratio"])
    assert ("accepted_share" in found) == (used.select is not None)
    assert ("real_share" in found) == (used.weigh is not None or used.provenance == "bernoulli")


@pytest.mark.parametrize(
    ("family", "score", "settings", "needs"),
    [
        ("language_model", "grammatical", {"data": "some.txt"}, "data: stories"),
        ("fine_tuning", "correct", {"data": "some.txt"}, "data: questions"),
        ("vae", "confidence", {"data": "celeba"}, "a label, the attribute of CelebA"),
        ("vae", "distance", {"data": "celeba"}, None),
        ("vae", "confidence", {"data": "celeba", "label": "Smiling"}, None),
        ("language_model", "length", {"data": "some.txt"}, None),
    ],
)
def test_a_score_that_needs_other_data_is_refused(family, score, settings, needs):
    Path("some.txt").write_text("One.\n\nTwo.\n")
    experiment = {"family": family, "regimes": ["mine"], "iterations": 2, "seeds": 1}
    experiment |= {"samples": 100, "settings": settings}
    for key, value in (("select", {"candidates": 2}), ("weigh", {"real": 0.5})):
        regime = {"keep_real": True, key: {"score": score, **value}}
        document = {"regimes": {"mine": regime}, "experiments": {"e": experiment}}
        Path("study.yaml").write_text(yaml.safe_dump(document))
        said = refusal(lambda: studies.load("study.yaml"), StudyError)
        assert (f"mine.{key}.score: found {score}, expected another" in said) == bool(needs), said
        assert (needs or "") in said and "\n" not in said


def test_plans_count_candidates():
    regimes = REGIMES | {
        "passing": {"keep_real": [True], "select": BEST | {
            "rule": ["threshold"], "threshold": [1.0], "candidates": [500]}}}  # fmt: skip
    found = {}
    for name in ("plain", "best", "passing"):
        experiment = {"family": "vae", "regimes": [name], "iterations": 2, "seeds": 1}
        experiment |= {"samples": 500}
        study = Study.model_validate({"regimes": regimes, "experiments": {"e": experiment}})
        (shard,) = Branches(study, "e").branch("samples=500", name, 0).shards(1)
        found[name] = jobs.of_study(study)[shard.path].steps[0].work.flops
    assert found["best"] == pytest.approx(4 * found["plain"], rel=0.01)
    assert found["passing"] == found["plain"]


def test_what_a_family_can_not_do_is_refused():
    experiment = {"family": "gaussian", "regimes": ["replace"], "iterations": 2, "seeds": 1}
    experiment |= {"samples": 5, "settings": {"estimator": "within-sources"}}
    assert Study.model_validate({"experiments": {"e": experiment}})
    Path("study.yaml").write_text(
        yaml.safe_dump({"experiments": {"e": experiment | {"per_iteration": True}}})
    )
    with pytest.raises(StudyError, match="estimator: found within-sources, expected maximum-like"):
        studies.load("study.yaml")
