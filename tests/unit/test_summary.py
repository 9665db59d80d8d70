"""Verdicts on curves, and the table of the terminal."""

import numpy as np
import pandas as pd
import pytest

import gathering
from collapse.families.declarations import Headline
from collapse.results import summary
from collapse.study import mixtures

ERROR, VARIANCE = Headline("e", worse="higher"), Headline("v", worse="lower", scale="log")
t = np.arange(1, 101)


@pytest.mark.parametrize(
    ("curve", "headline", "expected"),
    [
        (t * 0.1, ERROR, "degrades"),
        (np.cumsum(1 / t**2), ERROR, "levels off"),
        (1 + 0.1 * np.sin(t), ERROR, "stable"),
        (3 - np.cumsum(1 / t**2), ERROR, "improves"),
        ((1 - 1 / 100) ** t, VARIANCE, "degrades"),
        ((1 - 1 / 10) ** t, VARIANCE, "collapses"),
        (np.cumprod(1 - 1 / (10 * t**2)), VARIANCE, "stable"),
        (np.exp(-2 * np.cumsum(1 / t**2)), VARIANCE, "levels off"),
    ],
)
@pytest.mark.parametrize("some", [t, np.unique(np.geomspace(1, 100, 20).astype(int))])
def test_verdicts(curve, headline, expected, some):
    """They do not depend on which iterations were evaluated."""
    assert summary.verdict(curve[some - 1], some, headline) == expected


def test_a_regime_is_summarised_over_points_and_seeds():
    plan = gathering.study(regimes=["replace"], iterations=4, samples=[10, 20, 30], seeds=5)
    dataset = gathering.filled(plan, "trace_ratio")
    dataset["trace_ratio"][:] = np.exp(-np.arange(4.0))
    row = summary.summarise("loop", dataset, {"replace": "DISAGREES"}).iloc[0]
    assert row["first"] == pytest.approx(1)
    assert row["last"] == pytest.approx(np.exp(-3))
    assert (row["verdict"], row["theory"]) == ("degrades", "DISAGREES")


def test_a_grid_of_mixtures_is_one_row_for_each_point():
    own = {"mixture": {"keep_real": [2, 4, 8, 16], "memory": 1, "generate": [0, 4, 8]}}
    given = {"samples": 16, "seeds": 3, "grid": {"variance": [1.0, 2.0]}}
    plan = gathering.study(own, regimes=["replace", "mixture"], **given)
    grids = mixtures.grids(plan.chains("loop"))
    names = plan.regimes_of("loop")
    # Synthetic data helps, helps, may help, hurts, the more the more; in vain at variance 2.
    worth = {2: 1.0, 4: 1.0, 8: [-1.0, 1.0, 2.0], 16: -1.0}
    dataset = gathering.filled(plan, "squared_error_of_mean")
    for mixture, spec in grids[0].chains.items():
        gain = np.multiply(worth[mixture.real], mixture.synthetic)
        place = {"regime": spec.regime_name, "variance": 1.0, "iteration": 2}
        dataset["squared_error_of_mean"].loc[place] = 100 - mixture.real - gain
    agreement = {name: "DISAGREES" if name == names[1] else "agrees" for name in names[:3]}
    table = summary.summarise_mixtures("loop", dataset, grids, agreement)
    assert list(table["regime"]) == ["12 mixtures variance=1.0", "12 mixtures variance=2.0"]
    assert list(table["verdict"]) == [
        "helps (2-4 real), undecided (8 real; 49 would show), hurts (16 real)",
        "undecided (2-16 real; 0 would show)",
    ]
    assert list(table["theory"]) == ["DISAGREES"] * 2
    row = table.iloc[0]
    assert (row["first"], row["last"]) == (7, 100 - 16)
    (alone,) = summary.summarise_mixtures("loop", dataset, grids[:1], {}).to_dict("records")
    assert (alone["regime"], alone["theory"]) == ("12 mixtures", "-")


def test_the_table_is_aligned():
    table = pd.DataFrame({"experiment": ["a", "longer"], "first": [1.0, 123456.789]})
    lines = summary.render(table).splitlines()
    assert lines[0] == "experiment        first"
    assert lines[3] == "longer        1.235e+05"
