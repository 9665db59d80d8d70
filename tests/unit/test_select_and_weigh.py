"""Selection, weights and provenance of regimes in closed form."""

import itertools
import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, chisquare

from closed_form_chains import run
from collapse import families
from collapse import study as studies
from collapse.errors import JobError
from collapse.families import regime_metrics
from collapse.loop.kept_shards import _Pool
from collapse.loop.selected_draws import ROUND
from collapse.loop.writing import AT_ONCE, Writer
from collapse.regimes import Regime, Select, Totals, balance, choose
from collapse.regimes.shares import share_at
from collapse.seeding import Streams
from collapse.study.chain_spec import ChainSpec

#: A score of each family that runs in closed form, and parameters of a small chain.
SCORES = {
    "gaussian": ("distance", {"dimension": 2, "target": 0.5}),
    "linear_regression": ("residual", {"dimension": 2}),
    "kernel_density": ("distance", {}),
    "discrete": ("reward", {"outcomes": 5}),
    "logistic_regression": ("correct", {"dimension": 1}),
    "poisson_regression": ("residual", {"dimension": 1, "design": "fresh"}),
}
RULES = {
    "best": {"rule": "best"},
    "softmax": {"rule": "softmax", "temperature": 0.7},
    "threshold": {"rule": "threshold", "threshold": 0.9},
    "a verifier that errs": {"rule": "threshold", "threshold": 0.9, "error": 0.2},
}


def uniform(*shape):
    return np.random.default_rng(0).random(shape)


# The choice of a candidate.


@pytest.mark.parametrize("sign", [1, -1])
def test_best_keeps_the_best_and_an_error_the_worst(sign):
    scores, noise = uniform(3, 50, 4), uniform(3, 50, 4)
    right = choose(Select(score="s", candidates=4), scores, sign, noise, noise)
    np.testing.assert_array_equal(right.kept, (sign * scores).argmax(axis=2))
    assert not right.wrong.any() and (right.looked_at == 4).all()
    wrong = choose(Select(score="s", candidates=4, error=1.0), scores, sign, noise, noise)
    np.testing.assert_array_equal(wrong.kept, (sign * scores).argmin(axis=2))
    assert wrong.wrong.all()


@pytest.mark.parametrize("sign", [1, -1])
def test_softmax_has_its_probabilities(sign):
    scores = np.broadcast_to([0.0, 0.3, -1.0, np.nan], (1, 40_000, 4))
    select = Select(score="s", candidates=4, rule="softmax", temperature=0.5)
    kept = choose(select, scores, sign, uniform(*scores.shape), uniform(*scores.shape)).kept
    expected = np.exp(sign * np.array([0.0, 0.3, -1.0]) / 0.5)
    counts = np.bincount(kept[0], minlength=4)
    assert counts[3] == 0, "a score that is not a number is the worst"
    assert chisquare(counts[:3], 40_000 * expected / expected.sum()).pvalue > 1e-4


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("error", [0.0, 0.3])
def test_threshold_keeps_the_first_that_the_verifier_accepts(sign, error):
    scores, mistakes = uniform(2, 500, 6), np.random.default_rng(1).random((2, 500, 6))
    select = Select(score="s", candidates=6, rule="threshold", threshold=0.4, error=error)
    choice = choose(select, scores, sign, mistakes, mistakes)
    passes = scores >= 0.4 if sign == 1 else scores <= 0.4
    for seed, slot in np.ndindex(2, 500):
        accepted = passes[seed, slot] != (mistakes[seed, slot] < error)
        first = np.flatnonzero(accepted)[0] if accepted.any() else -1
        assert choice.kept[seed, slot] == first
        assert choice.looked_at[seed, slot] == (first + 1 or 6)
        assert choice.wrong[seed, slot] == (first >= 0 and not passes[seed, slot, first])


def written(family, count, seeds=3, at_once=AT_ONCE, **select):
    """Return the samples of slots that a family writes under a selection, and its metrics."""
    score, parameters = SCORES[family]
    regime = Regime(keep_real=True, select=Select(score=score, **select))
    parameters = families.load(family).parameters(**parameters)
    spec = ChainSpec("e", "p", "r", regime, family, parameters.model_dump(), 12, 4, (1,))
    streams = Streams("e", "p", "r", range(seeds))
    simulator = families.load(family).closed_form.simulator(parameters, 12, streams)
    model = simulator.fit(simulator.summarise(simulator.real(1, 12)))
    writer = Writer(spec, simulator, streams, at_once)
    return writer.samples(model, count, 2), writer.metrics(2)


@pytest.mark.parametrize("family", SCORES)
@pytest.mark.parametrize("rule", RULES)
def test_a_sample_depends_on_its_slot_alone(family, rule):
    """Neither on how many slots there are, nor on which other seeds."""
    how = {**RULES[rule], "candidates": 3 if rule in ("best", "softmax") else 500}
    (some, _), (more, _) = (written(family, count, **how) for count in (4, 9))
    fewer_seeds, _ = written(family, 9, seeds=2, **how)
    for ours, longer, fewer in zip(some, more, fewer_seeds, strict=True):
        np.testing.assert_array_equal(ours, longer[:, :4])
        np.testing.assert_array_equal(fewer, longer[:2])


@pytest.mark.parametrize("family", SCORES)
@pytest.mark.parametrize("rule", ["best", "softmax"])
@pytest.mark.parametrize("error", [0.0, 0.3])
def test_what_is_kept_does_not_depend_on_how_candidates_are_cut(family, rule, error):
    """Neither between slots nor between the candidates of one; blocks of 64 are cut, too."""
    how = {**RULES[rule], "candidates": 150, "error": error}
    whole, metrics = written(family, 5, **how)
    for at_once in (40, 149, 150, 400):
        cut, of_cut = written(family, 5, at_once=at_once, **how)
        for ours, theirs in zip(cut, whole, strict=True):
            np.testing.assert_array_equal(ours, theirs)
        for name, values in metrics.items():  # a mean of all scores is a sum over parts
            np.testing.assert_allclose(of_cut[name], values, rtol=1e-13)


def test_memory_does_not_grow_with_the_number_of_candidates():
    peaks = []
    for candidates in (2**12, 2**16):
        tracemalloc.start()
        written("gaussian", 3, seeds=1, at_once=2**10, candidates=candidates)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0]
    assert peaks[1] < 2**10 * 400 < 2**16 * 3 * 16, "bytes of two coordinates of all candidates"


def test_attempts_go_on_beyond_those_that_are_drawn_at_once():
    how = {"rule": "threshold", "threshold": 0.05, "candidates": 50 * ROUND}
    metrics = run("gaussian", selecting("distance", **how), 50, 2, 20, target=0.0)
    rate = 1 / metrics["accepted_share"][:, 1].mean()
    assert rate > ROUND
    assert (metrics["score_of_kept"][:, 1] <= 0.05).all()


def selecting(score, **how):
    return Regime(keep_real=False, memory=1, select=Select(score=score, **how))


def test_a_threshold_that_nothing_passes_is_told_in_one_line():
    never = selecting("distance", rule="threshold", threshold=-1.0, candidates=40)
    with pytest.raises(JobError) as error:
        run("gaussian", never, 5, 3, 2)
    assert str(error.value) == (
        "select.threshold: found 10 of 10 samples for iteration 2 (the first with seed 0) of which "
        "none of 40 candidates has a distance that passes -1, with an acceptance rate of 0; "
        "expected all to pass (raise candidates, or choose another threshold)"
    )


def test_metrics_of_selection_are_what_they_say():
    how = {"rule": "threshold", "threshold": 1.0, "candidates": 400, "error": 0.1}
    metrics = run("gaussian", selecting("distance", **how), 400, 2, 200, target=0.0)
    # The distance of a standard normal is below 1 with probability 0.6827.
    right, wrong = 0.6827 * 0.9, 0.3173 * 0.1
    for name, expected in (
        ("accepted_share", right + wrong),
        ("wrongly_accepted", wrong / (right + wrong)),
        ("score_of_candidates", np.sqrt(2 / np.pi)),
    ):
        values = metrics[name][:, 1]
        assert np.isnan(metrics[name][:, 0]).all(), "nothing was selected for iteration 1"
        assert abs(values.mean() - expected) < 0.01, name


# Pools whose samples are all kept.


@given(
    kept=st.integers(0, 4),
    memory=st.none() | st.integers(1, 4),
    power=st.sampled_from([-1.0, 0.0, 0.7]),
    fresh=st.integers(0, 2),
)
def test_a_pool_in_place_is_that_of_all_shards_and_never_grows(kept, memory, power, fresh):
    """However the window moves, it has the samples that a list of shards has."""
    regime = Regime(keep_real=kept, memory=memory, generate=f"n*t^{power}", fresh_real=fresh)
    spec = ChainSpec("e", "p", "r", regime, "gaussian", {}, 5, 12, (1,))
    numbers, held = itertools.count(), []

    def columns(count):
        new = np.array([[next(numbers) for _ in range(count)]], dtype=float).reshape(1, count)
        return new % 2 == 0, -new, new

    first = columns(kept)
    pool = _Pool(spec, first)
    arrays = [id(one) for one in pool._columns]
    for t in range(2, 13):
        parts = [columns(size) for size in (regime.generated(t, 5), regime.fresh(t, 5)) if size]
        pool.add(parts)
        held.append(parts)
        shards = [
            first,
            *(part for parts in held[regime.oldest_arrival(t) - 2 :] for part in parts),
        ]
        kinds, weights, samples = (np.concatenate(one, axis=1) for one in zip(*shards, strict=True))
        np.testing.assert_array_equal(pool.whole(0), kinds)
        np.testing.assert_array_equal(pool.whole(1), weights)
        assert pool.size == samples.shape[1] == regime.pool_sizes(12, 5)[t - 1]
        (found,) = pool.samples(np.arange(pool.size)[None, ::-1])
        np.testing.assert_array_equal(found, samples[:, ::-1])
    assert arrays == [id(one) for one in pool._columns]


# Weights.

POSITIVE = st.floats(0.1, 10)


@given(
    st.lists(POSITIVE, min_size=1, max_size=5),
    st.lists(POSITIVE, min_size=1, max_size=5),
    st.none() | st.floats(0, 1),
)
def test_weights_have_the_shares_and_sum_to_the_effective_size(real, synthetic, share):
    kinds = [np.array([weights]) for weights in (real, synthetic)]
    factors = balance(share, *map(Totals.of, kinds))
    weights = [kinds[0] * factors.real, kinds[1] * factors.synthetic]
    total = np.concatenate(weights, axis=1).sum()
    if share is None:
        assert weights[0].mean() == pytest.approx(weights[1].mean())
    else:
        assert weights[0].sum() / total == pytest.approx(share)
    squares = (np.concatenate(weights, axis=1) ** 2).sum()
    assert total == pytest.approx(total**2 / squares)
    assert factors.effective[0] == pytest.approx(total)


def test_a_kind_without_samples_leaves_all_weight_to_the_other():
    nothing, some = Totals.equal(0, 2), Totals.equal(4, 2)
    assert balance(0.3, nothing, some).effective.tolist() == [4, 4]
    assert balance(0.3, some, nothing).effective.tolist() == [4, 4]


def test_shares_mean_what_they_say():
    assert [share_at("1*t^-1", t) for t in (1, 2, 4)] == [1, 0.5, 0.25]
    assert [share_at("1-0.5*0.5^(t-1)", t) for t in (1, 2, 3)] == [0.5, 0.75, 0.875]
    assert share_at(1, 7) == 1.0


@pytest.mark.parametrize("family", SCORES)
def test_equal_weights_are_no_weights(family):
    """A share that the counts have anyway; the numbers differ by rounding alone."""
    parameters = SCORES[family][1]
    plain = Regime(keep_real=True, memory=1)
    equal = plain.model_copy(update={"weigh": Regime(keep_real=1, weigh={"real": 0.5}).weigh})
    one, other = (run(family, regime, 16, 6, 4, **parameters) for regime in (plain, equal))
    for name in families.load(family).metrics:
        if name != "noise_estimate":  # which is not known of weighted samples
            np.testing.assert_allclose(other[name], one[name], rtol=1e-6, err_msg=name)
    assert (other["effective_sample_size"][:, 1:] == 32).all()


def test_weights_that_are_none_are_told_in_one_line():
    negative = Regime(keep_real=True, weigh={"score": "reward"})
    with pytest.raises(JobError, match=r"weigh: found a score reward of -[\d.]+, whose power 1 is"):
        run("gaussian", negative, 5, 3, 2)
    zero = Regime(keep_real=True, weigh={"score": "reward"})
    with pytest.raises(JobError, match="weigh: found the weight 0 for every sample"):
        run("discrete", zero, 2, 200, 20, outcomes=2)


def test_numbers_of_real_samples_are_binomial():
    regime = Regime(keep_real=0, memory=1, fresh_real=3, generate=7, provenance="bernoulli")
    share = run("gaussian", regime, 10, 2, 3000)["real_share"][:, 1] * 10
    assert binomtest(int(share.sum().round()), 30_000, 0.3).pvalue > 1e-4
    assert share.var() == pytest.approx(10 * 0.3 * 0.7, rel=0.15)


# All keys of a regime, in all families.

SIZE = st.sampled_from([0, 3, "n", "0.5n", "n*t^0.5", "n*0.9^(t-1)"])
SHARE = st.sampled_from([0.0, 0.3, 1.0, "1*t^-1", "1-0.5*0.9^(t-1)"])
DRAWN = {
    "keep_real": st.sampled_from([True, False, 3]),
    "memory": st.sampled_from([None, 1, 2]),
    "budget": st.sampled_from([None, "n", 4]),
    "generate": SIZE,
    "fresh_real": SIZE,
    "provenance": st.sampled_from(["fixed", "bernoulli"]),
    "select": st.none() | st.fixed_dictionaries({"rule": st.sampled_from(list(RULES))}),
    "weigh": st.none()
    | st.fixed_dictionaries(
        {"real": st.none() | SHARE, "scored": st.booleans(), "power": st.sampled_from([1, -0.5])}
    ),
}


@given(st.sampled_from(list(SCORES)), st.fixed_dictionaries(DRAWN))
@settings(max_examples=150, deadline=None)
def test_every_combination_of_keys_runs_or_is_refused_in_one_line(tmp_path_factory, family, drawn):
    score, parameters = SCORES[family]
    regime = {key: value for key, value in drawn.items() if value is not None}
    if drawn["select"]:
        how = RULES[drawn["select"]["rule"]]
        regime["select"] = {"score": score, "candidates": 300, **how}
    if drawn["weigh"]:
        weigh = {key: drawn["weigh"][key] for key in ("real",) if drawn["weigh"][key] is not None}
        if drawn["weigh"]["scored"]:
            weigh |= {"score": score, "power": float(drawn["weigh"]["power"])}
        regime["weigh"] = weigh
    experiment = {"family": family, "regimes": ["one"], "iterations": 4, "seeds": 2, "samples": 9}
    content = {"regimes": {"one": regime}, "experiments": {"e": {**experiment, "grid": parameters}}}
    path = tmp_path_factory.getbasetemp() / "combination.json"
    path.write_text(json.dumps(content))
    study = attempted(lambda: studies.load(path))
    if study is None:
        return
    (spec,) = study.chains("e")
    metrics = attempted(lambda: run(family, spec.regime, 9, 4, 2, **spec.parameters))
    if metrics is None:  # scores of these samples make no weights, or do not pass
        scored = drawn["weigh"] is not None and drawn["weigh"]["scored"]
        assert scored or "threshold" in str(regime["select"])
        return
    event("runs")
    assert set(regime_metrics.of_regime(spec.regime)) <= set(metrics)
    headline = families.load(family).headline.metric
    assert not np.isnan(metrics[headline]).any(), regime


def attempted(call):
    """Return what a call returns; None if it is refused, which has to be in one line."""
    try:
        return call()
    except (studies.StudyError, JobError) as error:
        message = str(error)
    assert len(message.splitlines()) == 1, message
    return None
