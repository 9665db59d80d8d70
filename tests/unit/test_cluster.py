"""One driver a working directory, what it leaves, and what it looks at; without SLURM."""

import os
import runpy
import subprocess
import sys
from dataclasses import replace

import pytest
from snakemake_executor_plugin_slurm.partitions import read_partition_file

from collapse.cluster import driver, driver_lock, preflight, slurm_checks, waiting
from collapse.cluster.findings import Finding, report
from collapse.study import Study
from running import PROJECT, Workflow

ME = driver_lock.Holder.current()
COMMON = {"regimes": ["replace"], "iterations": 2, "seeds": 1, "samples": 10}


@pytest.fixture
def lock(tmp_path):
    return driver_lock.Lock(tmp_path)


def test_a_second_driver_is_refused_in_one_line(lock):
    lock.acquire(ME)
    said = r"process \d+ on .* is driving here already$"
    with pytest.raises(driver_lock.DriverError, match=said):
        lock.acquire(replace(ME, pid=os.getppid(), started=1.0))


def test_the_lock_of_a_dead_driver_is_taken_over(lock):
    # The number of the process is in use again, by one that started later.
    lock.acquire(replace(ME, started=ME.started - 1000))
    lock.acquire(ME)
    assert lock.holder() == ME
    assert [path.name for path in lock.path.parent.iterdir()] == ["driver.lock"]


def test_nobody_knows_of_a_driver_on_another_host(lock):
    lock.acquire(replace(ME, host="elsewhere", started=1.0))
    with pytest.raises(driver_lock.DriverError, match="if it is gone, delete"):
        lock.acquire(ME)


def test_a_lock_goes_from_the_launcher_to_the_driver(lock):
    driver = replace(ME, pid=1)
    lock.acquire(ME)
    lock.acquire(driver, heir_of=ME)
    assert lock.holder() == driver


def test_a_local_driver_runs_a_study(tmp_path):
    experiment = {**COMMON, "family": "gaussian", "per_iteration": True, "grid": {"dimension": 2}}
    workflow = Workflow(tmp_path)
    workflow.write(steps=experiment)
    done = subprocess.run(
        [
            *(sys.executable, PROJECT / "scripts" / "launch.py", "--cluster", "local"),
            *("--directory", tmp_path, "--", "results/steps/metrics.nc"),
            *("--config", f"study={workflow.study}"),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / driver_lock.LOCK).exists()
    plan = Study.model_validate({"experiments": {"steps": experiment}})
    found = waiting.of_experiment(tmp_path, plan, "steps")
    assert found.steps == 8  # assemble, train, generate and evaluate, twice
    assert 0 < found.inside < found.wall
    assert "outside their steps" in waiting.render(tmp_path, plan)


def test_overlapping_steps_count_once():
    found = waiting._covered([(0, 2), (1, 3), (5, 6)])
    assert (found.wall, found.inside, found.steps) == (6, 4, 3)


def test_a_finding_is_one_line_with_its_remedy(capsys):
    found = [Finding("disk", "is full", "Empty it"), Finding("SLURM", "is")]
    assert report(found) == 1
    assert capsys.readouterr().err == "FAULT  disk: is full. Empty it\nok     SLURM: is\n"


def test_what_a_cluster_lacks_is_found():
    settings = {
        "default-resources": {"slurm_partition": "gone", "gpu_model": "'h100'"},
        "slurm-status-command": "sacct",
    }
    partitions = {"batch*": {"gpu:a100:4"}}
    config = "AccountingStorageType = accounting_storage/none\nMinJobAge = 300 sec\n"
    found = [
        *slurm_checks._partitions(settings, partitions),
        *slurm_checks._polling(settings, config),
        slurm_checks._gpus(settings, partitions),
    ]
    assert [bool(finding.remedy) for finding in found] == [True, True, True]
    assert "batch" in found[0].remedy and "squeue" in found[1].remedy and "a100" in found[2].remedy


#: What sacctmgr of SLURM 22.05 printed, with a slurmdbd.
ASSOCIATIONS = "chemistry|batch\nphysics|\nroot|\n"
ACCOUNTING = "AccountingStorageType = accounting_storage/slurmdbd\nClusterName = test\n"


@pytest.mark.parametrize(
    ("asked", "found", "fault"),
    [
        ({}, "account: none is named; yours: chemistry, physics, root", False),
        ({"account": "physics", "partition": "gpu"}, "physics: is yours", False),
        ({"account": "chemistry", "partition": "batch"}, "chemistry: is yours", False),
        (
            {"account": "chemistry", "partition": "gpu"},
            "chemistry: is not yours in partition gpu. Name one of chemistry, physics, root as",
            True,
        ),
        ({"account": "biology"}, "biology: is not yours. Name one of chemistry, ", True),
    ],
)
def test_accounts_are_looked_up_where_the_cluster_keeps_any(monkeypatch, asked, found, fault):
    monkeypatch.setattr(slurm_checks, "slurm", lambda *command: ASSOCIATIONS)
    resources = {f"slurm_{key}": value for key, value in asked.items()}
    (finding,) = slurm_checks._accounts({"default-resources": resources}, ACCOUNTING)
    assert found in str(finding) and bool(finding.remedy) == fault


def test_who_has_no_account_where_one_is_needed_is_told(monkeypatch):
    monkeypatch.setattr(slurm_checks, "slurm", lambda *command: "")
    enforced = f"{ACCOUNTING}AccountingStorageEnforce = associations,limits\n"
    assert [bool(one.remedy) for one in slurm_checks._accounts({}, enforced)] == [True]
    assert [bool(one.remedy) for one in slurm_checks._accounts({}, ACCOUNTING)] == [False]


def test_accounts_that_cannot_be_looked_up_are_a_finding(monkeypatch):
    def refuse(*command):
        raise slurm_checks.SlurmError("sacctmgr: error: Connection refused")

    monkeypatch.setattr(slurm_checks, "slurm", refuse)
    (finding,) = slurm_checks._accounts({}, ACCOUNTING)
    assert str(finding).startswith("FAULT  account: sacctmgr: error: Connection refused. Ask")


@pytest.mark.parametrize(
    ("settings", "may"),
    [({}, True), ({"backend": "vllm"}, True), ({"backend": "transformers"}, False)],
)
def test_vllm_is_looked_for_where_it_may_be_used(settings, may):
    neural = {**COMMON, "family": "language_model", "settings": settings}
    closed = {**COMMON, "family": "gaussian"}
    study = Study.model_validate({"experiments": {"closed": closed, "neural": neural}})
    assert [family.may_use_vllm(each) for family, each in preflight._points(study)] == [False, may]


def test_a_last_attempt_that_no_node_can_hold_is_found():
    memory = {"train": {"mem_mb": "8000 * attempt"}, "gather": {"mem_mb": 9000}}
    settings = {"retries": 2, "set-resources": memory}
    assert not list(slurm_checks._memory(settings, 24_000))
    (finding,) = slurm_checks._memory(settings, 23_999)
    assert "train: asks for 24000 MB at the last of 3 attempts, no node has over" in str(finding)


def test_several_nodes_need_the_gpus_of_each():
    wrong = {"train": {"nodes": 2, "gpu": 8}, "generate": {"gpu": 4}}
    right = {"train": {"nodes": 2, "gpu": 0, "gres": "'gpu:4'"}}
    assert [one.subject for one in slurm_checks._nodes({"set-resources": wrong})] == ["train"]
    assert not list(slurm_checks._nodes({"set-resources": right}))


def test_the_profile_says_what_every_rule_of_the_workflow_asks_for(tmp_path):
    settings = preflight.read_profile(PROJECT / "profiles" / "slurm")
    grouped = dict(line.split("=", 1) for line in settings["groups"])
    workflow = Workflow(tmp_path)
    workflow.write(any={**COMMON, "family": "gaussian"})
    rules = workflow.run("--list-rules").split()
    assert set(grouped) | set(settings["set-resources"]) <= set(rules)


def test_the_example_of_partitions_can_be_read():
    partitions = read_partition_file(PROJECT / "profiles" / "slurm" / "partitions.yaml")
    assert [partition.name for partition in partitions] == ["short", "long", "gpu"]


def test_doctor_knows_what_a_study_takes_from_the_hub(monkeypatch, tmp_path):
    stories, own, pairs = (
        {**COMMON, "family": family, "settings": {"data": data}}
        for family, data in (
            ("language_model", "tinystories"),
            ("language_model", "hub:a/b"),
            ("fine_tuning", "helpsteer2"),
        )
    )
    pairs["grid"] = {"base": ["stories", "gemma-2-2b", "hub:c/d"]}
    experiments = {"stories": stories, "own": own, "pairs": pairs}
    study = Study.model_validate({"experiments": experiments})
    points = list(preflight._points(study))
    data = {name for family, each in points for name in family.hub_datasets(each)}
    assert data == {"roneneldan/TinyStories", "a/b", "nvidia/HelpSteer2"}
    models = {name for family, each in points for name in family.hub_models(each)}
    assert models == {"google/gemma-2-2b", "c/d"}
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    found = preflight._cached("model c/d", *preflight._MODEL, "c/d")
    assert found.found == "is not in the offline cache"
    assert 'huggingface_hub.snapshot_download("c/d")' in found.remedy


@pytest.fixture
def launched(monkeypatch, capsys):
    """Return the function that runs the launcher in this process, and returns its error."""

    def launch(directory, *arguments, **variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        script = str(PROJECT / "scripts" / "launch.py")
        monkeypatch.setattr(sys, "path", [*sys.path])
        monkeypatch.setattr(sys, "argv", [script, "--directory", str(directory), *arguments])
        with pytest.raises(SystemExit) as stopped:
            runpy.run_path(script, run_name="__main__")
        assert capsys.readouterr().err == ""
        return stopped.value.code

    return launch


def test_a_driver_that_sbatch_refuses_is_told_in_one_line(tmp_path, launched):
    commands = tmp_path / "bin"
    commands.mkdir()
    for name in ("sbatch", "srun"):
        (commands / name).write_text("#!/bin/sh\necho 'sbatch: error: no such account' >&2; exit 1")
        (commands / name).chmod(0o755)
    path = os.pathsep.join([str(commands), os.environ["PATH"]])
    said = launched(tmp_path, "--unchecked", PATH=path)
    assert said == "error: the driver can't be submitted: sbatch: error: no such account"
    assert not (tmp_path / driver_lock.LOCK).exists()


@pytest.mark.parametrize("where", ["slurm", "local"])
def test_a_home_that_cannot_be_written_is_told_in_one_line(tmp_path, launched, where):
    arguments = ("--cluster", where, "--unchecked")
    said = launched(tmp_path, *arguments, HOME="/dev/null", XDG_CACHE_HOME="")
    assert said.startswith("error: ") and "can't be written" in said and "\n" not in said
    assert "set XDG_CACHE_HOME" in said


def test_a_folder_that_cannot_be_written_is_told_in_one_line(tmp_path, launched):
    (tmp_path / "file").write_text("")
    said = launched(tmp_path / "file" / "here", "--unchecked")
    assert said.startswith("error: ") and "Not a directory" in said and "\n" not in said


def test_a_file_system_without_hard_links_has_locks_too(lock, monkeypatch):
    def refuse(*paths):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    lock.acquire(ME)
    assert lock.holder() == ME
    with pytest.raises(driver_lock.DriverError, match="is driving here already"):
        lock.acquire(replace(ME, pid=os.getppid(), started=1.0))
    lock.release()
    lock.acquire(replace(ME, started=ME.started - 1000))
    lock.acquire(ME)
    assert lock.holder() == ME


def test_jobs_inherit_what_the_user_set_and_not_what_the_driver_job_did(monkeypatch):
    users = {"SBATCH_ACCOUNT": "mine", "SBATCH_QOS": "long", "SLURM_CONF": "/etc/slurm.conf"}
    others = ["SLURM_JOB_ID", "SBATCH_MEM_BIND", "SRUN_DEBUG", "SUBMITIT_EXECUTOR", "SQUEUE_FORMAT"]
    for name, value in {**users, **dict.fromkeys(others, "1")}.items():
        monkeypatch.setenv(name, value)
    kept = driver._clean()
    assert {name: kept.get(name) for name in users} == users
    assert not set(others) & set(kept)
