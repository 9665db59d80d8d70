"""What synthetic data is worth: intervals by hand, verdicts, and how often they are wrong."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import dunnett
from scipy.stats import t as student

import gathering
from collapse import families
from collapse.families.declarations import Headline
from collapse.results import mixtures as worth
from collapse.study import mixtures, power
from collapse.study.mixtures import Mixture

ERROR, VARIANCE = Headline("e", worse="higher"), Headline("v", worse="lower")


def test_an_effect_is_paired_over_seeds_with_a_variance_pooled_over_amounts():
    generator = np.random.default_rng(0)
    noise = generator.standard_normal((3, 5)) + 10 * generator.standard_normal(5)
    values = dict(zip([Mixture(8, 0), Mixture(8, 4), Mixture(8, 6)], noise, strict=True))
    values[Mixture(16, 4)] = noise[0]
    found = worth.effects(values)
    assert set(found) == {(8, 4), (8, 6)}, "of 16 real samples alone nothing is known"
    # The residual of a two-way analysis of variance, of (3 - 1) (5 - 1) degrees of freedom.
    rows, columns = np.indices((3, 5))
    design = [rows.ravel() == row for row in range(3)]
    design += [columns.ravel() == column for column in range(1, 5)]
    fit = np.linalg.lstsq(np.transpose(design).astype(float), noise.ravel())
    differences = noise[1:] - noise[0]
    own = differences.var(axis=1, ddof=1)
    for effect, difference, variance in zip(found.values(), differences, own, strict=True):
        error = np.sqrt(max(2 * fit[1][0] / 8, own.mean(), variance) / 5)
        half = power.critical_value(2, 8) * error
        centre = difference.mean()
        shown = half + student.ppf(0.8, 8) * error
        np.testing.assert_allclose(effect, (centre, centre - half, centre + half, shown))


def test_critical_values_are_those_of_dunnett():
    """The published tables (Dunnett 1964), Student's t, and scipy's for independent groups."""
    assert power.critical_value(1, 2) == pytest.approx(student.ppf(0.975, 2), rel=1e-4)
    assert power.critical_value(1, 1, rows=12) == pytest.approx(
        student.isf((1 - 0.95 ** (1 / 12)) / 2, 1), rel=1e-3
    )
    published = {(2, 10): 2.57, (5, 10): 2.99, (9, 20): 2.95, (9, 60): 2.77}
    for (amounts, freedom), value in published.items():
        assert power.critical_value(amounts, freedom) == pytest.approx(value, abs=0.006)
    groups = np.random.default_rng(0).standard_normal((7, 4))
    found = dunnett(*groups[1:], control=groups[0], random_state=0)
    scale = np.sqrt(groups.var(axis=1, ddof=1).mean() * 2 / 4)
    half = found.confidence_interval().high - (groups[1:].mean(axis=1) - groups[0].mean())
    np.testing.assert_allclose(half / scale, power.critical_value(6, 21), rtol=0.01)


@pytest.mark.parametrize(
    ("effect", "lower_is_better", "higher_is_better"),
    [
        ((-2, -3, -1), "yes", "no"),
        ((2, 1, 3), "no", "yes"),
        ((1, -1, 3), "undecided", "undecided"),
        ((1, np.nan, np.nan), "undecided", "undecided"),
    ],
)
def test_verdicts(effect, lower_is_better, higher_is_better):
    effect = worth.Effect(*effect)
    assert worth.verdict(effect, ERROR) == lower_is_better
    assert worth.verdict(effect, VARIANCE) == higher_is_better


def test_what_can_not_be_judged_is_left_undecided():
    alone, two = Mixture(8, 0), Mixture(8, 4)
    (one,) = worth.effects({alone: np.array([1.0]), two: np.array([3.0])}).values()
    assert one.difference == 2 and not one.decided
    infinite = {alone: np.array([np.inf, np.inf, 1.0]), two: np.array([1.0, 2.0, 3.0])}
    (one,) = worth.effects(infinite).values()
    assert one.difference == -np.inf and not one.decided
    missing = {alone: np.array([1.0, np.nan, 2.0]), two: np.array([2.0, 7.0, 4.0])}
    (one,) = worth.effects(missing).values()
    assert one.difference == 1.5 and np.isfinite(one.low), "pairs that are there are compared"


def studies(seeds, count, *, rows=12, amounts=18, effect=0.0, none=1.0, generator=0):
    """Tables of mixtures by simulation: the effects of each, and none of seeds in common.

    The first amount of every row has an effect, in standard deviations of an amount.
    """
    generator = np.random.default_rng(generator)
    for _ in range(count):
        noise = generator.standard_normal((rows, amounts + 1, seeds))
        noise[:, 0] *= none
        noise[:, 1] += effect
        noise += 3 * generator.standard_normal(seeds)
        yield {
            Mixture(real, amount): noise[real, amount]
            for real in range(rows)
            for amount in range(amounts + 1)
        }


@pytest.mark.parametrize(("seeds", "count"), [(2, 300), (3, 300), (5, 300), (30, 100)])
def test_a_table_of_worthless_amounts_seldom_decides_anything(seeds, count):
    """In 5 % of tables at most, also where a row would be looked at for its best amount alone."""
    decided = [
        any(each.decided for each in worth.effects(values).values())
        for values in studies(seeds, count)
    ]
    assert np.mean(decided) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / count)


def test_none_that_scatters_more_than_the_amounts_alarms_seldom_with_many_seeds():
    """Pooling alone, as if none and all amounts scattered alike, decides something in most."""
    found = [worth.effects(values) for values in studies(30, 60, none=3.0)]
    assert np.mean([any(one.decided for one in each.values()) for each in found]) < 0.15


def test_choosing_on_other_seeds_does_not_help():
    """An interval over seeds that were each left out of the choice is wrong far too often."""
    wrong = {"ours": 0, "one seed left out": 0}
    for values in studies(30, 300, rows=1):
        beside = {mixture: row for mixture, row in values.items() if mixture.synthetic}
        best = worth.best_of(beside, VARIANCE)
        noise = np.stack(list(beside.values()))
        totals = noise.sum(axis=1, keepdims=True) - noise
        chosen = noise[totals.argmax(axis=0), np.arange(30)]
        left_out = worth.effects({Mixture(0, 0): values[Mixture(0, 0)], best: chosen})[best]
        for name, one in zip(wrong, (worth.effects(values)[best], left_out), strict=True):
            wrong[name] += worth.verdict(one, VARIANCE) == "yes"
    assert wrong["ours"] < 0.05 * 300 < wrong["one seed left out"]


@pytest.mark.parametrize(("seeds", "least", "most"), [(3, 0.0, 0.02), (5, 0, 0.05), (100, 0.8, 1)])
def test_an_effect_of_less_than_a_deviation_takes_many_seeds(seeds, least, most):
    """The published grid: what three seeds leave undecided is not shown to have no effect."""
    first = [
        effect.decided
        for values in studies(seeds, 20, effect=0.7)
        for mixture, effect in worth.effects(values).items()
        if mixture.synthetic == 1
    ]
    assert least <= np.mean(first) <= most


@pytest.mark.parametrize("seeds", [3, 10])
def test_an_effect_that_would_show_shows_in_four_of_five_cases(seeds):
    effect = power.detectable_by(seeds, 18, 12)
    found = [
        one
        for values in studies(seeds, 30, effect=effect)
        for mixture, one in worth.effects(values).items()
        if mixture.synthetic == 1
    ]
    # Less often by some, for the larger of three variances counts.
    assert 0.6 < np.mean([one.decided for one in found]) < 0.9
    assert np.median([one.detectable for one in found]) == pytest.approx(effect, rel=0.2)
    assert power.seeds_for(effect, 18, 12) == seeds


@pytest.fixture(scope="module")
def grid():
    """The chains of two points, with mixtures of which some lack their real samples alone."""
    own = {
        "mixture": {"keep_real": [8, 16], "memory": 1, "generate": [0, 4, 8]},
        "only": {"keep_real": 0, "memory": 1, "generate": [4, 8]},
    }
    given = {"samples": 16, "seeds": 4, "grid": {"variance": [1.0, 2.0]}}
    plan = gathering.study(own, regimes=["mixture", "only"], **given)
    return plan, mixtures.grids(plan.chains("loop"))


def dataset(plan, numbers):
    """A dataset whose last iteration is known: by variance, and by mixture over four seeds."""
    found = gathering.filled(plan, *families.load("gaussian").metrics)
    for name in plan.regimes_of("loop"):
        regime = plan.regime_table[name]
        values = np.array(numbers[regime.kept_real(16), regime.generated(2, 16)])
        for variance, factor in ((1.0, 1), (2.0, 5)):
            place = {"regime": name, "variance": variance, "iteration": 2}
            for metric in found.data_vars.values():
                metric.loc[place] = factor * values
    return found


NUMBERS = {
    **{(0, 4): [4, 4, 4, 4.4], (0, 8): [4, 4, 4, 4]},
    **{(8, 0): [3, 4, 5, 6], (8, 4): [2, 3, 4, 5.2], (8, 8): [3, 4, 5, 6.4]},
    **{(16, 0): [1, 2, 3, 4], (16, 4): [1.4, 2, 3, 4], (16, 8): [3, 4, 5, 6.4]},
}


def test_the_table_has_the_best_amount_for_each_number_of_real_samples(grid):
    plan, grids = grid
    found = worth.tabulate("loop", dataset(plan, NUMBERS), grids)
    assert list(found.columns) == worth.COLUMNS
    assert list(found["num_real"]) == [0, 8, 16] * 2
    assert list(found["best_num_synthetic"]) == [8, 4, 4] * 2
    assert list(found["beats_none"]) == ["-", "yes", "undecided"] * 2
    assert set(found["amounts"]) == {2} and set(found["seeds"]) == {4}
    assert set(found["metric"]) == {"squared_error_of_mean"}
    nothing = found.iloc[0]
    assert nothing[["none", "none_standard_error", "difference", "low", "high"]].isna().all()
    assert (nothing["value"], nothing["standard_error"]) == (4, 0)
    row = found.iloc[1]
    assert row["value"] == pytest.approx(3.55)
    assert row["standard_error"] == pytest.approx(np.std([2, 3, 4, 5.2], ddof=1) / 2)
    assert row["none"] == pytest.approx(4.5)
    assert row["none_standard_error"] == pytest.approx(np.std([3, 4, 5, 6], ddof=1) / 2)
    # Differences -1, -1, -1, -0.8, and 0, 0, 0, 0.4 of the other amount: variances 0.01 and 0.04.
    # Both points have two numbers of real samples with none.
    half = power.critical_value(2, 6, rows=4) * np.sqrt(0.025 / 4)
    np.testing.assert_allclose(row[["difference", "low", "high"]].astype(float),
                               [-0.95, -0.95 - half, -0.95 + half])  # fmt: skip
    assert list(found["point"]) == [grids[0].point] * 3 + [grids[1].point] * 3
    np.testing.assert_allclose(found["value"][3:], 5 * found["value"][:3].values)


def test_every_amount_may_hurt(grid):
    plan, grids = grid
    harmful = {**NUMBERS, (16, 4): [2, 3, 4, 5.2]}
    found = worth.tabulate("loop", dataset(plan, harmful), grids[:1])
    assert list(found["beats_none"]) == ["-", "yes", "no"]
    assert found["low"].iloc[2] > 0


def test_a_model_that_exists_untrained_is_none_of_no_real_samples():
    """Fine-tuning on nothing leaves the base: there, none is a mixture like any other."""
    numbers = {(0, 0): [5.0, 5.0, 5.0], (0, 4): [4.0, 4.1, 4.2]}
    values = {Mixture(*place): np.array(each) for place, each in numbers.items()}
    (effect,) = worth.effects(values).values()
    assert effect.difference == pytest.approx(-0.9)
    assert worth.verdict(effect, ERROR) == "yes"


def test_mixtures_are_judged_by_the_headline_unless_a_family_says_otherwise():
    family = replace(families.load("discrete"), headline=ERROR)
    assert family.headline_of_mixtures is ERROR
    assert replace(family, mixture_headline=VARIANCE).headline_of_mixtures is VARIANCE
