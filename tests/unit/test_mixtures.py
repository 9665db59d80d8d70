"""Which regimes make up a grid of mixtures: told by their numbers, not by their names."""

import pytest

import gathering
from collapse import study
from collapse.regimes import NAMED, Regime, mixture
from collapse.study import mixtures
from collapse.study.mixtures import Mixture
from running import PROJECT

SQUARE = {
    f"{letter}{number}": mixture(real, synthetic)
    for letter, real in (("x", 4), ("y", 8))
    for number, synthetic in ((1, 0), (2, 6))
}


def test_a_grid_is_found_by_its_numbers():
    found = mixtures.grid(SQUARE, 10, 2)
    assert found == {(4, 0): "x1", (4, 6): "x2", (8, 0): "y1", (8, 6): "y2"}
    assert next(iter(found)).total == 4


def test_sizes_are_those_of_the_last_iteration():
    regimes = {
        f"{real} {grown}": Regime(keep_real=real, memory=1, generate=grown)
        for real in (False, "0.5n", True)
        for grown in ("n", "tn", "n*2^(t-1)")
    }
    found = mixtures.grid(regimes, 10, 4)
    assert set(found) == {(real, synthetic) for real in (0, 5, 10) for synthetic in (10, 40, 80)}
    assert found[0, 40] == "False tn"


@pytest.mark.parametrize("left_out", SQUARE)
def test_three_corners_are_no_grid(left_out):
    regimes = {name: regime for name, regime in SQUARE.items() if name != left_out}
    assert not mixtures.grid(regimes, 10, 2)


def test_a_grid_may_have_gaps_and_rows_of_its_own():
    alone = {"z": mixture(0, 6), "w": mixture(16, 32)}
    assert len(mixtures.grid({**SQUARE, **alone}, 10, 2)) == 6


def test_chains_take_no_part():
    others = {
        **NAMED,
        "window": Regime(keep_real=4, memory=2, generate=6),
        "budget": Regime(keep_real=4, memory=1, generate=6, budget=5),
        "fresh": Regime(keep_real=4, memory=1, generate=6, fresh_real=1),
        "again": mixture(4, 6),
    }
    assert not mixtures.grid(others, 10, 2)
    assert set(mixtures.grid({**SQUARE, **others}, 10, 2).values()) == set(SQUARE)
    assert not mixtures.grid(SQUARE, 10, 1), "one iteration trains on real data alone"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("ci", {"mixture"}), ("local", {"gaussian-mixture"})],
)
def test_the_studies_have_a_grid_where_they_mean_one(name, expected):
    plan = study.load(PROJECT / "config" / "studies" / f"{name}.yaml")
    assert expected <= {one for one in plan.experiments if mixtures.among(plan, one)}
    for experiment in plan.experiments:
        grids = mixtures.grids(plan.chains(experiment))
        assert bool(grids) == mixtures.among(plan, experiment)
        others = mixtures.unmixed(grids, plan.named_regimes_of(experiment))
        assert set(others).isdisjoint({"mixture", "synthetic-only"})
        if not grids:
            assert others == plan.regimes_of(experiment)


def test_every_point_has_its_own_grid():
    own = {"mixture": {"keep_real": [4, "0.5n"], "memory": 1, "generate": [0, 6]}}
    grid = {"dimension": [1], "variance": [1.0, 2.0]}
    plan = gathering.study(own, regimes=["replace", "mixture"], samples=[10, 20], grid=grid)
    grids = mixtures.grids(plan.chains("loop"))
    assert mixtures.distinctions(grids) == [
        f"variance={variance}__samples={n}" for variance in (1.0, 2.0) for n in (10, 20)
    ]
    assert mixtures.distinctions(grids[:1]) == [""]
    assert mixtures.distinctions([]) == []
    for one, n in zip(grids, (10, 20, 10, 20), strict=True):
        spec = one.chains[Mixture(n // 2, 6)]
        assert (spec.point, spec.samples) == (one.point, n)
        assert spec.regime_name == "mixture__keep_real=0.5n__generate=6"
    assert mixtures.unmixed(grids, plan.named_regimes_of("loop")) == ["replace"]
