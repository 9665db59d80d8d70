"""What a study is said to cost, and how long it is said to take."""

import csv
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gathering
from collapse import families, study
from collapse.cluster import planned_times
from collapse.errors import JobError
from collapse.families.text_work import SIDE_BY_SIDE
from collapse.families.work import Work
from collapse.loop.batches import batches, chain_seconds
from collapse.loop.closed_form import run_chain
from collapse.loop.plan import cards, device, estimate, jobs, machine, table
from collapse.loop.plan.device import Device
from collapse.loop.plan.estimate import Machine
from collapse.loop.plan.machine import REFERENCE
from collapse.loop.plan.schedule import Task, duration, longest_path
from contract import examples
from running import PROJECT


@pytest.fixture(scope="module")
def local():
    return study.load(PROJECT / "config" / "studies" / "local.yaml")


@pytest.fixture(scope="module")
def planned(local):
    return jobs.of_study(local)


# The jobs of a study.


@pytest.mark.parametrize("card", [None, cards.find("h200")])
def test_every_experiment_has_a_line_and_the_total_adds_up(local, planned, card):
    rows, _, explained = table.render(local, REFERENCE, card, slots=2).partition("\n\n")
    lines = rows.splitlines()
    assert [line.split()[0] for line in lines] == ["experiment", *local.experiments, "of", "total"]
    assert ("GPU-hours" in lines[0]) == (card is not None)
    assert "estimates" in explained and "core" in explained
    together = jobs.joined(planned)
    costs = estimate.costs(local, together, Machine(REFERENCE, card))
    assert int(lines[-1].split()[1]) == len(together) == sum(cost.jobs for cost in costs.values())
    for name, experiment in local.experiments.items():
        assert costs[name].bytes > 0 < costs[name].core
        assert (costs[name].gpu > 0) == (card is not None and experiment.by_iteration)


def test_jobs_wait_for_jobs_and_chains_for_their_steps(planned):
    for output, job in planned.items():
        # Shards and checkpoints are made by jobs; nothing else is waited for.
        assert all(need in planned for need in job.needs), output
    (one,) = [job for name, job in planned.items() if name.endswith("seed1/iter3/model")][:1]
    assert {planned[need].steps[0].rule for need in one.needs} == {"assemble", "prepare"}


def test_a_base_is_pretrained_once_for_all_experiments(planned):
    trained = [job for job in planned.values() if job.steps[0].rule == "base"]
    assert len(trained) == 1  # of fine-tuning and fine-tuning-mixture


@pytest.mark.parametrize("holds", ["iteration", "chain"])
def test_several_steps_in_a_job_save_start_up_and_no_work(local, planned, holds):
    chosen = dict.fromkeys(local.experiments, holds)
    together = jobs.joined(jobs.of_study(local, chosen))
    single, joined = (
        estimate.costs(local, each, Machine(REFERENCE)) for each in (planned, together)
    )
    for name, experiment in local.experiments.items():
        before, after = single[name], joined[name]
        assert after.core - after.start == pytest.approx(before.core - before.start)
        assert after.bytes == pytest.approx(before.bytes)
        if experiment.by_iteration:
            assert after.jobs < before.jobs and after.start < 0.6 * before.start
        else:
            saved = len(list(local.chains(name))) - len(batches(local, name))
            assert before.jobs - after.jobs == saved
    assert longest_path(Machine(REFERENCE).tasks(together)) > 0  # without circles


# Families count their work.

BY_STEPS = examples.declaring(lambda family: family.iterative)


@pytest.mark.parametrize("family", BY_STEPS)
def test_work_grows_with_the_samples_and_needs_known_libraries(family):
    declared = families.load(family)
    workload = declared.by_steps.workload(declared.parameters())
    if declared.wants_gpu:
        for work in (
            lambda n: workload.train(n, 2),
            workload.generate,
            lambda n: workload.evaluate(n, 1000),
        ):
            once, twice = (REFERENCE.seconds(work(count)) for count in (20_000, 40_000))
            assert 0 < once < twice < 2.5 * once
    assert {name for each in workload.libraries.values() for name in each} <= {*device.LIBRARIES}
    assert workload.sample_bytes > 0 < workload.model_bytes


@pytest.mark.parametrize(
    ("seeds", "warned"), [(1, "1 seed,"), (3, "shows an effect of 4.0 standard"), (100, None)]
)
def test_too_few_seeds_for_a_grid_of_mixtures_are_warned_of(seeds, warned):
    own = {"mixture": {"keep_real": [*range(2, 26, 2)], "memory": 1, "generate": [*range(19)]}}
    plan = gathering.study(own, regimes=["mixture"], samples=30, seeds=seeds)
    said = table.render(plan, REFERENCE)
    assert ("warning: loop" in said) == (warned is not None)
    assert (warned or "") in said
    assert warned is None or "for 1\nit takes 41 seeds" in said


CLOSED_FORM = [name for name in families.MODULES if families.load(name).closed_form]


@pytest.mark.parametrize("family", CLOSED_FORM)
@pytest.mark.parametrize("regime", ["accumulate", "accumulate-subsample"])
def test_the_estimate_of_a_chain_is_of_the_right_order(family, regime):
    experiment = {"family": family, "regimes": [regime], "iterations": 50, "seeds": 10}
    plan = gathering.study(**{**experiment, "samples": 300})
    (spec,) = plan.chains("loop")
    run_chain(spec, range(2))
    start = time.process_time()
    run_chain(spec, range(10))
    taken = (time.process_time() - start) / 10
    assert chain_seconds(spec) == pytest.approx(taken, rel=9, abs=1e-3)


# Devices.


def test_a_rate_is_interpolated_between_sizes_and_constant_beyond():
    rates = device.Rates(1e-6, [(1e6, 1e9), (1e8, 1e11)])
    assert [rates.at(size) for size in (1e4, 1e6, 1e7, 1e8, 1e9)] == pytest.approx(
        [1e9, 1e9, 1e10, 1e11, 1e11]
    )


def test_a_core_calls_and_computes_in_turn_and_a_gpu_at_the_same_time():
    work = Work(core=1.0, calls=1e6, flops=1e12, size=1e6)
    core, gpu = (
        Device("", "", 2.0, 1.0, 1e9, {"transformer": device.Rates(3e-6, [(1e6, 1e12)])}, is_gpu)
        for is_gpu in (False, True)
    )
    assert core.seconds(work) == pytest.approx(2 + 3 + 1)
    assert gpu.seconds(work) == pytest.approx(2 + 3)


def test_the_cores_are_measured_once_and_again_if_asked_or_if_what_is_kept_is_damaged(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    measured = {**REFERENCE.as_dict(), "core": 1.5}
    runs = []

    class Done:
        returncode = 0
        stdout = f"a library may print\n{json.dumps(measured)}\n"

    monkeypatch.setattr(machine.subprocess, "run", lambda *a, **k: runs.append(a) or Done)
    first = machine.measured()
    assert first.core == 1.5 and "this machine" in first.source
    assert machine.measured() == first and len(runs) == 1
    machine.measured(again=True)
    machine.CACHE.write_text("{}")
    assert machine.measured() == first and len(runs) == 3
    # Without torch the plan is that of the reference core, and says so.
    Done.returncode = 1
    assert "estimates" in machine.measured(again=True).source


def test_the_figures_of_a_card_are_those_that_were_measured_on_it():
    row = {"model": "llama2-42m", "parameters": 4e7, "samples": 1024}
    found = {
        "hardware": "a card",
        "training": [{**row, "flops_per_second": rate} for rate in (1e14, 3e14)],
        "generation": [
            {**row, "backend": "transformers", "tokens_per_second": 1e4},
        ],
    }
    card = cards.measured(found, REFERENCE.as_dict())
    assert card.is_gpu and card.name == "a card" and "measured" in card.source
    assert card.rates["transformer"].at(4e7) == pytest.approx(2e14)
    network = cards.transformer("llama2-42m", 8000)
    drawn = network.sampling(10 * SIDE_BY_SIDE, 100, 100)
    drawn = Work(kind="sampling", calls=drawn.calls, size=drawn.size)
    assert card.seconds(drawn) == pytest.approx(10 * SIDE_BY_SIDE * 100 / 1e4)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "expected a100, h100, h200, l40s, or a file"),
        ("{}", "found no figures of a device, expected a file"),
        ("oh", "expected a file that tests/gpu/measure.py --json wrote"),
        (json.dumps({"device": {**REFERENCE.as_dict(), "core": -1}}), "found -1, expected a pos"),
        (json.dumps({"device": {"core": 1}}), "found no figures of a device"),
    ],
)
def test_a_card_that_is_none_is_refused_in_one_line(tmp_path, content, said):
    path = tmp_path / "card.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(JobError, match=said) as refused:
        cards.find(str(path))
    assert str(path) in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("gpus", [0, -1, 1.5, "many", True])
def test_a_number_of_gpus_that_is_none_is_refused(gpus):
    with pytest.raises(JobError, match=r"gpus: found .*, expected a number of at least 1"):
        cards.number_of(gpus, REFERENCE)


def test_a_number_of_gpus_needs_a_card():
    with pytest.raises(JobError, match="without a card"):
        cards.number_of(8, None)
    assert cards.number_of(None, None) is None and cards.number_of(8, REFERENCE) == 8


# The schedule.


@pytest.mark.parametrize(
    ("tasks", "slots", "expected"),
    [
        ({"a": Task(2), "b": Task(3)}, 1, 5),
        ({"a": Task(2), "b": Task(3)}, 2, 3),
        ({"a": Task(2), "b": Task(3, needs=["a"])}, 2, 5),
        # b waits for two slots; c, which needs one, overtakes it.
        ({"a": Task(4), "b": Task(1, 2), "c": Task(3)}, 2, 5),
        # More slots than there are: all of them.
        ({"a": Task(4, 8), "b": Task(1)}, 2, 5),
        # What takes no slot goes on beside the others.
        ({"a": Task(4), "b": Task(5, 0), "c": Task(6, 0)}, 1, 6),
        ({"a": Task(1, needs=["a file that is there"])}, 1, 1),
        ({}, 3, 0),
    ],
)
def test_a_schedule_takes(tasks, slots, expected):
    assert duration(tasks, slots) == expected


def test_a_circle_is_refused():
    with pytest.raises(ValueError, match="circle"):
        duration({"a": Task(1, needs=["b"]), "b": Task(1, needs=["a"])}, 1)


@st.composite
def graphs(draw):
    """Tasks of one slot, each of which waits for some of those before it."""
    count = draw(st.integers(1, 12))
    seconds = draw(st.lists(st.floats(0.1, 9), min_size=count, max_size=count))
    return {
        str(i): Task(seconds[i], 1, [str(j) for j in range(i) if draw(st.booleans())])
        for i in range(count)
    }


@settings(max_examples=50, deadline=None)
@given(graphs(), st.integers(1, 4))
def test_a_schedule_is_within_the_bounds_of_list_scheduling(tasks, slots):
    """Graham's bound: the work on all slots, and beside it at most the longest path."""
    longest = longest_path(tasks)
    each = sum(task.seconds for task in tasks.values()) / slots
    found = duration(tasks, slots)
    assert max(longest, each) * 0.999 <= found <= (each + longest * (1 - 1 / slots)) * 1.001


def test_more_gpus_are_simulated_until_they_save_nothing(planned):
    found = estimate.how_long(planned, Machine(REFERENCE, cards.find("h200")))
    counts, seconds = zip(*found.by_slots.items(), strict=True)
    assert counts[:3] == (1, 2, 4)
    assert list(seconds) == sorted(seconds, reverse=True)
    assert found.longest <= seconds[-1] < 1.1 * found.longest


# The doctor.


def _experiment(**settings):
    """A study of one language model on a cluster, large enough to take hours."""
    common = {"regimes": ["replace"], "iterations": 2, "seeds": 1, "samples": 2_000_000}
    each = {"family": "language_model", **common, "settings": settings}
    return study.Study.model_validate({"experiments": {"loop": each}})


@pytest.mark.parametrize(
    ("minutes", "retries", "faulty"),
    # Attempts of a training go on from each other; those of a shard begin anew.
    [(100_000, 0, []), (10, 2, ["generate"]), (10, 0, ["train", "generate"])],
)
def test_the_doctor_finds_limits_that_jobs_are_planned_to_exceed(minutes, retries, faulty):
    profile = {"default-resources": {"runtime": minutes, "gpu_model": "'a100'"}, "retries": retries}
    plan = _experiment(model="llama2-42m", data="stories", context=256)
    found = [each for each in planned_times.check(profile, plan) if each.remedy]
    assert [each.found.split()[3] for each in found] == faulty
    assert all("NVIDIA A100" in each.found and "Set runtime" in each.remedy for each in found)
    assert not list(planned_times.check({"default-resources": {"runtime": 1}}, plan))


# Planned against measured.


def test_the_benchmark_compares_each_job_with_its_plan(tmp_path, monkeypatch, local):
    pytest.importorskip("snakemake")
    monkeypatch.syspath_prepend(PROJECT / "benchmarks")
    import planning

    for name in ("chain/gaussian/p/replace", "base/0123", "summary"):
        path = tmp_path / "logs" / f"{name}.benchmark.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as lines:
            csv.writer(lines, delimiter="\t").writerows([["s", "cpu_time"], [9, 2.5]])
    by_part, by_rule = planning.compare(local, tmp_path, [REFERENCE], seconds=10.0)
    measured = {name: row.measured for name, row in by_part.items() if row.measured}
    assert measured == dict.fromkeys(("gaussian", "bases", "of the study", planning.DRIVER), 2.5)
    assert by_rule["chain"].measured == 2.5 and by_rule["chain"].planned > 100
    assert by_part["language-model"].planned > 100
