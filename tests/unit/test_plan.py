"""What a study is said to cost."""

import time

import pytest

import gathering
from collapse import families, study
from collapse.loop import plan as planning
from collapse.loop.closed_form import run_chain
from running import PROJECT


def test_every_experiment_has_a_line_and_the_total_adds_up():
    plan = study.load(PROJECT / "config" / "studies" / "local.yaml")
    costs = [planning.cost(plan, name) for name in plan.experiments]
    table, _, explained = planning.render(plan).partition("\n\n")
    lines = table.splitlines()
    assert [line.split()[0] for line in lines] == ["experiment", *plan.experiments, "total"]
    # Theory, publications and the summary are compared for the whole study.
    assert int(lines[-1].split()[1]) == sum(cost.jobs for cost in costs) + 3
    assert "GPU-hours" in lines[0] and "start-up" in explained
    assert all(cost.bytes > 0 and cost.core_hours > 0 for cost in costs)


@pytest.mark.parametrize(
    ("seeds", "warned"), [(1, "1 seed,"), (3, "shows an effect of 4.0 standard"), (100, None)]
)
def test_too_few_seeds_for_a_grid_of_mixtures_are_warned_of(seeds, warned):
    own = {"mixture": {"keep_real": [*range(2, 26, 2)], "memory": 1, "generate": [*range(19)]}}
    plan = gathering.study(own, regimes=["mixture"], samples=30, seeds=seeds)
    said = planning.render(plan)
    assert ("warning: loop" in said) == (warned is not None)
    assert (warned or "") in said
    assert warned is None or "for 1\nit takes 41 seeds" in said


CLOSED_FORM = [name for name in families.MODULES if families.load(name).closed_form]


@pytest.mark.parametrize("family", CLOSED_FORM)
@pytest.mark.parametrize("regime", ["accumulate", "accumulate-subsample"])
def test_the_estimate_is_of_the_right_order(family, regime):
    experiment = {"family": family, "regimes": [regime], "iterations": 50, "seeds": 10}
    plan = gathering.study(**{**experiment, "samples": 300})
    (spec,) = plan.chains("loop")
    run_chain(spec, range(2))
    start = time.process_time()
    run_chain(spec, range(10))
    taken = (time.process_time() - start) / 10
    assert planning.chain_seconds(spec) == pytest.approx(taken, rel=9, abs=1e-3)
