"""The benchmarks run, and both sides that each compares do the same work."""

import importlib
import json
import os
import re
import subprocess
import sys

import pytest

from collapse import families
from running import PROJECT

BENCHMARKS = PROJECT / "benchmarks"


def printed(script, *arguments):
    done = subprocess.run(
        [sys.executable, script, *arguments],
        cwd=BENCHMARKS,
        env={**os.environ, "PYTHONPATH": str(PROJECT / "scripts")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def quick(monkeypatch, capsys, one_thread):
    """Return a function that runs a part at tiny sizes, in this process, and what it printed."""
    monkeypatch.syspath_prepend(BENCHMARKS)

    def alone(module, function, *arguments):
        given = json.loads(json.dumps(arguments))
        found = getattr(importlib.import_module(module), function)(*given)
        return processes.Alone(json.loads(json.dumps(found)), processes.peak_memory())

    processes = importlib.import_module("processes")
    monkeypatch.setattr(processes, "alone", alone)
    bench = importlib.import_module("bench")

    def run(what):
        bench.PARTS[what](True)
        return capsys.readouterr().out

    yield run
    for name, module in list(sys.modules.items()):
        if str(BENCHMARKS) in (getattr(module, "__file__", None) or ""):
            del sys.modules[name]


def measured(function, argument):
    lines = printed("processes.py", "images", function, json.dumps([argument])).splitlines()
    return json.loads(lines[-1])


def test_every_closed_form_family_has_a_ratio_and_a_peak_of_memory():
    found = printed("bench.py", "--quick", "--only", "closed-form")
    closed_form = [name for name in families.MODULES if families.load(name).closed_form]
    assert len(closed_form) >= 4
    for family in closed_form:
        assert re.search(rf"^{family} .* (\d+)x ", found, re.MULTILINE), found
        memory = re.search(rf"^  {family} +(\d+)  below 2000: met$", found, re.MULTILINE)
        assert memory and int(memory[1]) > 10, found


def test_weights_and_selection_have_a_ratio_in_every_closed_form_family(quick):
    found = quick("loop-design")
    ratios = re.findall(
        r"^(\w+)(, [\w ]+)? +[\d.]+ +[\d.]+ +(\d+\.\d\d)  too small", found, re.MULTILINE
    )
    assert len(ratios) == 4 * len({family for family, *_ in ratios}) >= 20, found


def test_language_models_train_the_same_weights_as_a_loop_and_the_rest_is_measured(quick):
    pytest.importorskip("transformers")
    found = quick("language-models")
    step = re.search(r"^tiny .* (\d\.\d{3})  .*; weights differ by (\S+)$", found, re.MULTILINE)
    assert step and float(step[1]) > 0 and float(step[2]) < 1e-6, found
    for row in (
        r"^text, MB( +\S+ / \S+){5}$",
        r"^tokens, M( +[\w ]+ / \S+){5}$",
        r"^transformers( +[\d.]+){6}$",
    ):
        assert re.search(row, found, re.MULTILINE), found


def test_batches_of_molecules_are_compared_with_a_loop(quick):
    pytest.importorskip("torch")
    pytest.importorskip("rdkit")
    row = r"^small +4 +\d+ +(\d+\.\d) +(\d+\.\d) +\d+\.\d  (training|sampling).*differ by (\S+)$"
    found = re.findall(row, quick("molecules"), re.MULTILINE)
    assert [what for _, _, what, _ in found] == ["training", "sampling"]
    assert all(float(ours) > 0 < float(loop) for ours, loop, _, _ in found)
    assert all(float(difference) < 1e-4 for *_, difference in found)


def test_autoencoders_train_the_same_weights_as_a_loop():
    pytest.importorskip("torch")
    found, _ = measured("step", ["tiny", 8, 1, 2, 6])
    assert found["difference"] == 0
    assert 0 < found["batch"] < found["ours"] and found["bare"] > 0


def test_steps_have_a_start_up(quick):
    pytest.importorskip("sklearn")
    pytest.importorskip("torch")
    found = quick("start-up")
    for step in ("prepare", "assemble"):
        row = re.search(rf"^vae +{step} +(\d+\.\d) +-?\d+\.\d +\d+\.\d$", found, re.MULTILINE)
        assert row and float(row[1]) > 0, found


def test_a_bare_snakefile_has_the_jobs_of_ours(quick):
    found = quick("driver")
    rows = ("bare Snakefile", "with logs, scripts ...", "ours")
    jobs = [re.search(rf"^{re.escape(row)} +(\d+) ", found, re.MULTILINE) for row in rows]
    assert len({each and each[1] for each in jobs}) == 1, found


def test_jobs_of_a_checkout_are_measured_by_rule(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(BENCHMARKS)
    checkouts = importlib.import_module("checkouts")
    steps = {**checkouts.ONE, "family": "gaussian", "per_iteration": True, "samples": 10}
    study = tmp_path / "study.yaml"
    study.write_text(json.dumps({"experiments": {"steps": steps}}))
    found = checkouts.run(PROJECT, tmp_path / "run", study, "results/steps/metrics.nc")
    assert {"train", "generate", "evaluate", "gather"} <= found.jobs.keys()
    assert all(0.05 < seconds < found.seconds for seconds in found.jobs.values())
    assert 0 < sum(found.jobs.values()) < found.seconds


def test_what_a_training_set_of_images_takes_is_measured():
    pytest.importorskip("torch")
    found, memory = measured("train", 150)
    assert set(found) == {"store / s", "batch / ms"} and found["batch / ms"] > 0
    assert 100 < memory < 4000
