"""Figures of weights and of selection: what they group, show and mark."""

import numpy as np
import pytest

import gathering
from collapse.results import regime_figures, selection_figures, weight_figures
from collapse.study.published_values import PublishedValue
from drawing import kept

WEIGHTS = [0.2, 0.5, 0.618, 0.8]
SWEPT = {"keep_real": 0, "memory": 1, "fresh_real": "n", "weigh": {"real": WEIGHTS}}


@pytest.fixture(scope="module")
def swept():
    own = {"mixed": SWEPT, "alone": {**SWEPT, "generate": 5, "weigh": {"real": [0.1, 0.9]}}}
    settings = {"estimator": "within-sources"}
    plan = gathering.study(
        own, regimes=[*own, "replace"], samples=[20, 40], iterations=40, settings=settings
    )
    return list(plan.chains("loop")), gathering.gather(plan)


def test_regimes_that_differ_in_the_weight_alone_are_a_sweep(swept):
    found = weight_figures.sweeps(swept[0])
    assert [(sweep.name, sweep.weights.tolist()) for sweep in found] == [("mixed", WEIGHTS)] * 2
    assert {sweep.point for sweep in found} == {"samples=20", "samples=40"}
    for sweep in found:
        assert [spec.regime.weigh.real for spec in sweep.chains] == WEIGHTS


def test_the_best_weight_is_that_of_theory_and_published_values_are_marked(
    swept, tmp_path, monkeypatch
):
    drawings = kept(monkeypatch)
    known = {"experiment": "loop", "point": "", "metric": "squared_error_of_mean", "tolerance": 0}
    known |= {"repetitions": None, "read": "text", "source": "made up"}
    published = [
        PublishedValue(regime=f"mixed__weigh.real={w}", iteration=t, statistic=s, value=v, **known)
        for w, t, s, v in [
            (0.2, "40", "mean", 0.03),
            (0.2, "39", "mean", 9),
            (0.5, "40", "lower", 9),
        ]
    ]
    weight_figures.draw(swept[1], swept[0], tmp_path, published)
    (page,) = drawings.values()
    (axes,) = page.axes
    open_ones = [line for line in axes.lines if str(line.get_markerfacecolor()) == "none"]
    assert [line.get_xydata().tolist() for line in open_ones] == 2 * [[[0.2, 0.03]]]
    marked = [
        line.get_xdata()[0]
        for line in axes.lines
        if len(set(line.get_xdata())) == 1 < len(line.get_xdata())
    ]
    assert marked == pytest.approx([0.618, 0.618], abs=0.02)
    curves = [line for line in axes.lines if len(line.get_xdata()) > 10]
    points = [line for line in axes.lines if len(line.get_xdata()) == len(WEIGHTS)]
    assert len(curves) == len(points) == 2
    assert "docs/theory/weights.md" in axes.get_xlabel()
    # Of 2 seeds: the points are near the curve, on a logarithmic scale.
    for curve, measured in zip(curves, points, strict=True):
        x, y = measured.get_data()
        expected = np.interp(x, *curve.get_data())
        assert np.all(np.abs(np.log(y / expected)) < np.log(30))


def test_reward_stands_above_diversity_of_regimes_that_select(tmp_path, monkeypatch):
    own = {"best": {"keep_real": 0, "memory": 1, "select": {"score": "reward", "candidates": 3}}}
    plan = gathering.study(own, regimes=["replace", "best"], samples=[10, 20], iterations=4)
    dataset = gathering.gather(plan)
    drawings = kept(monkeypatch)
    selection_figures.draw(dataset, tmp_path)
    (page,) = drawings.values()
    reward, diversity = page.axes
    assert reward.get_title() == "best"
    of_kept, of_candidates = (line.get_ydata() for line in reward.lines[:2])
    assert len(of_kept) == 3, "nothing is selected for iteration 1"
    assert np.all(of_kept > of_candidates)
    assert len(diversity.lines[0].get_ydata()) == 4
    drawings.clear()
    regime_figures.draw(dataset, list(plan.chains("loop")), tmp_path)
    panels = drawings["accepted-share"].axes
    assert [axes.get_title() for axes in panels] == ["best"], "replace selects nothing"
    assert "effective-sample-size" not in drawings


def test_without_selection_there_is_no_figure_of_it(swept, tmp_path):
    assert selection_figures.draw(swept[1], tmp_path) == []
