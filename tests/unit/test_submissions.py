"""Submissions that fail, wait or get lost, and what `make doctor` knows of them; without SLURM."""

import asyncio
import itertools
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

from collapse.cluster import (
    executor,
    job_step,
    limit_checks,
    preflight,
    refusals,
    slurm,
    submissions,
)
from collapse.study import Study
from running import PROJECT, Workflow

PROFILE = preflight.read_profile(PROJECT / "profiles" / "slurm")
COMMON = {"regimes": ["replace"], "iterations": 2, "seeds": 1, "samples": 10}
GAUSSIAN = {**COMMON, "family": "gaussian", "grid": {"dimension": 2, "variance": [1.0]}}
LONG = "l" * 250
STEPS = {**COMMON, "family": "gaussian", "per_iteration": True, "grid": {"dimension": 2}}


def commands(folder, **scripts):
    """Write commands of a cluster, and return the PATH on which they are first."""
    folder.mkdir()
    for name in ("sbatch", "squeue", "sinfo", "scontrol", "scancel", "sacct", "srun"):
        path = folder / name
        path.write_text(f"#!/bin/sh\n{scripts.get(name, 'exit 0')}\n")
        path.chmod(0o755)
    return os.pathsep.join([str(folder), os.environ["PATH"]])


def driven(tmp_path, path, *options, experiments=None):
    """Run `snakemake --profile slurm` on a cluster of fake commands; return what it printed."""
    workflow = Workflow(tmp_path / "run")
    workflow.directory.mkdir()
    workflow.profile = PROJECT / "profiles" / "slurm"
    workflow.write(**(experiments or {"gaussian": GAUSSIAN}))
    quick = ("--slurm-init-seconds-before-status-checks", "1")
    name = next(iter(experiments or {"gaussian": GAUSSIAN}))
    done = subprocess.run(
        workflow.command(f"results/{name}/metrics.nc", *options, *quick),
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "PATH": path},
    )
    assert done.returncode == 1, done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ("--set-resources", "chains:gpu=1", "chains:gpu_model='a100-sxm4'"),
            "Invalid GPU model format: a100-sxm4",
        ),
        (
            (
                "--set-resources",
                "chains:slurm_extra='--account=mine'",
            ),
            "The --account option is not allowed",
        ),
        (("--slurm-logdir", "study.yaml/logs"), "Not a directory"),
        (("--groups", f"chains={LONG}"), "File name too long"),
    ],
)
def test_a_group_that_cannot_be_submitted_is_told_with_the_reason(tmp_path, options, said):
    printed = driven(tmp_path, commands(tmp_path / "bin"), *options)
    (line,) = [line for line in printed.splitlines() if line.startswith("error: ")]
    assert "_chains: it could not be submitted: " in line and said in line


def test_a_name_that_is_too_long_is_found_beforehand():
    study = Study.model_validate({"experiments": {"gaussian": GAUSSIAN}})
    settings = {**PROFILE, "groups": [f"chains={LONG}"]}
    assert "Shorten" in limit_checks._names(submissions.all_of(settings, study)).remedy
    assert not limit_checks._names(wanted(steps=STEPS)).remedy


def test_steps_in_a_group_are_warned_of():
    """Snakemake deletes the outputs of a whole group if one of its jobs fails."""
    assert not limit_checks._grouped(PROFILE).remedy
    grouped = {**PROFILE, "groups": ["train=mine", "chains=closed-form"]}
    assert "job_holds" in limit_checks._grouped(grouped).remedy


def test_what_sbatch_says_is_told_once(tmp_path):
    words = "sbatch: error: Requested node configuration is not available"
    path = commands(
        tmp_path / "bin", sbatch=f"echo x >> {tmp_path}/asked; echo '{words}' >&2; exit 1"
    )
    printed = driven(tmp_path, path)
    assert f"error: closed-form_chains: it could not be submitted: {words}\n" in printed
    assert (tmp_path / "asked").read_text() == "x\n"


#: What sbatch says of a refusal, and whether it passes, with other jobs in the queue and without.
REFUSALS = [
    ("Unable to contact slurm controller (connect failure)", True, True),
    ("Socket timed out on send/recv operation", True, True),
    ("Resource temporarily unavailable", True, True),
    ("error: AssocMaxSubmitJobLimit; Job violates accounting/QOS policy (...)", True, True),
    ("error: QOSMaxSubmitJobPerUserLimit; Job violates accounting/QOS policy", True, True),
    ("Required partition not available (inactive or drain)", True, True),
    ("Job violates accounting/QOS policy (job submit limit, user's size...)", True, False),
    ("error: QOSMaxCpuPerJobLimit; Job violates accounting/QOS policy", False, False),
    ("Requested time limit is invalid (missing or exceeds some limit)", False, False),
    ("Invalid account or account/partition combination specified", False, False),
    ("Requested node configuration is not available", False, False),
]


@pytest.mark.parametrize(("words", "beside", "alone"), REFUSALS)
def test_refusals_that_pass_are_waited_out(words, beside, alone):
    message = f"SLURM sbatch failed. The error message was '{words}'.\n    sbatch call:\n  sbatch"
    assert refusals.words_of(message) == words
    assert refusals.passes(words, lambda: True) == beside
    assert refusals.passes(words, lambda: False) == alone


def test_refused_jobs_are_submitted_again_in_turn_after_growing_pauses(monkeypatch):
    monkeypatch.setattr(refusals, "FIRST", 0.02)
    refused, said, asked = {"drained": 3, "limit": 1}, [], []

    def submit(job, words):
        asked.append((job, time.monotonic()))
        if refused[job]:
            refused[job] -= 1
            room.put(job, words)

    room = refusals.WaitingRoom(submit, said.append)
    for job in refused:
        room.put(job, job)
    deadline = time.monotonic() + 5
    while len(asked) < 6 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [job for job, _ in asked] == [
        "drained",
        "limit",
        "drained",
        "limit",
        "drained",
        "drained",
    ]
    first, second, third = (b[1] - a[1] for a, b in itertools.pairwise(asked[:4]))
    assert first < second < third
    assert [line for line in said if "drained" in line] == [said[0], said[-2]]
    assert said[-1] == "SLURM accepts submissions again."

    room.close()
    room.put("limit", "limit")
    time.sleep(0.1)
    assert len(asked) == 6


class Waiting(executor.Executor):
    """An executor without Snakemake, whose jobs are words."""

    def __init__(self):
        self.reported, self.again = [], []
        self.logger = SimpleNamespace(warning=self.reported.append, error=self.reported.append)
        self.run_uuid = "run"
        self._ended, self._unlisted, self._submitted = set(), {}, {"1"}
        self._told, self._answers = set(), True
        self._main_event_loop, self._submitted_job_clusters = None, set()
        self.workflow = SimpleNamespace(scheduler=SimpleNamespace(error_callback=self.again.append))

    def format_job_exec(self, job):
        return f"python -m snakemake --target-jobs '{job}'"

    def report_job_submission(self, job_info, register_job=True):
        self.reported.append((job_info.job, job_info.external_jobid))

    def run_job(self, job):
        self.again.append(job)

    def print_job_error(self, job_info, msg=None, **kwargs):
        self.reported.append(msg)


def test_it_is_asked_for_jobs_before_it_is_ready(monkeypatch):
    """The executor starts the thread that asks for jobs first of all; an error there ends it."""
    asked = []

    async def jobs_of(waiting):
        return [job async for job in waiting.check_active_jobs([])]

    def start(self, workflow, logger):
        self.workflow, self.logger = workflow, logger
        asked.append(asyncio.run(jobs_of(self)))

    monkeypatch.setattr(executor.OneStepExecutor, "__init__", start)
    executor.Executor(SimpleNamespace(executor_settings=None), SimpleNamespace(debug=print))
    assert asked == [[]]


def listed(*jobs):
    return lambda: [slurm.Job(*job, "run", "log") for job in jobs]


def test_a_submission_whose_answer_was_lost_is_not_made_twice(monkeypatch):
    scripts = {"1": "'a'", "2": "python -m snakemake --target-jobs 'a'"}
    monkeypatch.setattr(slurm, "queue", listed(("1", "RUNNING", "None"), ("2", "PENDING", "None")))
    monkeypatch.setattr(slurm, "slurm", lambda *command: scripts[command[3]])
    waiting = Waiting()
    for job in ("a", "b"):
        waiting._again(job, "Socket timed out on send/recv operation")
    assert ("a", "2") in waiting.reported and waiting.again == ["b"]


def test_a_job_that_slurm_forgot_fails_and_one_that_never_starts_is_told(monkeypatch):
    monkeypatch.setattr(slurm, "queue", listed(("7", "PENDING", "PartitionTimeLimit")))
    job = SimpleNamespace(name="iteration")
    pending, gone = (SubmittedJobInfo(job, number) for number in ("7", "8"))
    waiting = Waiting()
    assert waiting._known([pending, gone]) == [pending, gone]
    (line,) = waiting.reported
    assert "Job 7 (iteration) does not start, because SLURM says PartitionTimeLimit" in line
    monkeypatch.setattr(executor, "FORGOTTEN", 0.0)
    assert waiting._known([pending, gone]) == [pending]
    assert waiting.again == [job] and "SLURM knows nothing of it any more" in waiting.reported[-1]


def test_a_queue_that_does_not_answer_is_told_once_and_loses_no_job(monkeypatch):
    def refuse():
        raise slurm.SlurmError("squeue: no answer in 60 s")

    waiting, jobs = Waiting(), [SubmittedJobInfo(SimpleNamespace(name="x"), "7")]
    answers = iter([refuse, refuse, listed(("7", "RUNNING", "None"))])
    monkeypatch.setattr(slurm, "queue", lambda: next(answers)())
    for _ in range(3):
        assert waiting._known(jobs) == jobs
    assert [line.partition(":")[0] for line in waiting.reported] == [
        "The queue does not answer",
        "The queue answers again.",
    ]


def test_a_look_at_the_queue_waits_until_slurm_answers(monkeypatch):
    monkeypatch.setattr(slurm, "INTERVAL", 0.0)
    away = slurm.SlurmError("squeue: Unable to contact slurm controller")
    answers, said = iter([away, away, "jobs", slurm.SlurmError("squeue: Invalid user")]), []

    def look():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert slurm.patiently(look, said.append) == "jobs"
    assert said == [f"{away}; waiting until SLURM answers"]
    with pytest.raises(slurm.SlurmError, match="Invalid user"):
        slurm.patiently(look, said.append)


def test_what_a_user_prefers_to_list_is_not_asked_for(monkeypatch, tmp_path):
    path = commands(tmp_path / "bin", squeue="echo $SQUEUE_PARTITION$SBATCH_ACCOUNT")
    monkeypatch.setenv("PATH", path)
    monkeypatch.setenv("SQUEUE_PARTITION", "gpu")
    monkeypatch.setenv("SBATCH_ACCOUNT", "mine")
    assert slurm.slurm("squeue") == "mine\n"


def wanted(**experiments):
    study = Study.model_validate({"experiments": experiments})
    return submissions.all_of(PROFILE, study)


def test_a_submission_asks_for_the_sum_of_its_jobs_as_snakemake_does(tmp_path):
    """Snakemake's own groups and their time limits, as it passes them to sbatch."""
    asked = "for word; do case $word in /*.log) log=$word;; esac; done; "
    asked += f'echo "$(basename $(dirname $log)) $*" >> {tmp_path}/asked; exit 1'
    study = {"gaussian": {**GAUSSIAN, "samples": [10, 20], "regimes": ["replace", "accumulate"]}}
    driven(tmp_path, commands(tmp_path / "bin", sbatch=asked), experiments=study)
    (line,) = (tmp_path / "asked").read_text().splitlines()
    (submission,) = [one for one in wanted(**study) if one.name == "closed-form"]
    assert line.startswith(submission.folder + " ")
    assert f" -t {submission.minutes(PROFILE, 1)} " in line
    assert submission.minutes(PROFILE, 1) == 2 * 5
    # One step with one Snakemake, which runs one job after the other.
    assert line.count("job_step.py --cpus-per-task=1") == line.count("-m snakemake ") == 1
    assert "--executor local --jobs 1" in line and "jobstep" not in line


def test_a_step_gets_its_own_options_and_the_number_of_its_job_alone(tmp_path):
    told = {"SLURM_JOB_ID": "7", "SLURM_CONF": "mine", "FAMILY": "vae"}
    contradicts = {"SLURM_MEM_PER_CPU": "1", "SLURM_NTASKS": "2", "SRUN_X": "1", "SBATCH_Y": "1"}
    path = commands(tmp_path / "bin", srun='env; echo "ran $*"')
    done = subprocess.run(
        [sys.executable, job_step.__file__, "--nodes=1", "--", "train", "-x", "--"],
        env={"PATH": path, **told, **contradicts},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "ran --ntasks=1 --cpu-bind=quiet --nodes=1 train -x --" in done.stdout.splitlines()
    kept = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert told.items() <= kept.items() and not contradicts.keys() & kept.keys()


def test_no_end_of_a_job_is_learnt_of_later_than_a_tenth_of_its_time(monkeypatch):
    """The executor itself would wait up to 180 s."""
    waited = []

    async def wait(seconds):
        waited.append(seconds)

    monkeypatch.setattr(executor.asyncio, "sleep", wait)
    waiting = Waiting()
    waiting.workflow.executor_settings = SimpleNamespace(init_seconds_before_status_checks=5)
    waiting._next_seconds_between_status_checks = 180
    for since in (1, 100, 600, 7200):
        waiting._news = time.monotonic() - since
        asyncio.run(waiting.sleep())
    assert waited == pytest.approx([5, 10, 60, 180], abs=0.5)


def faults(found):
    return [str(finding) for finding in found if finding.remedy]


def test_time_limits_of_submissions_are_compared_with_those_of_partitions():
    these = wanted(steps={**STEPS, "job_holds": "iteration"}, gaussian=GAUSSIAN)
    assert not faults(limit_checks._times(PROFILE, these, {"batch*": 1440.0}))
    (fault,) = faults(limit_checks._times(PROFILE, these, {"batch*": 1200.0, "long": 2000.0}))
    assert "rule iteration" in fault
    assert "for 1440, and the limit of partition batch is 1200" in fault
    assert "In the profile set runtime: min(1200, 400 * attempt) for iteration, or" in fault
    short = faults(limit_checks._times(PROFILE, these, {"batch*": 60.0}))
    assert any("set runtime: 10 * attempt for each of its rules" in line for line in short)
    shorter = {**PROFILE["set-resources"], "iteration": {"runtime": "min(1200, 400 * attempt)"}}
    changed = {**PROFILE, "set-resources": shorter}
    assert not faults(limit_checks._times(changed, these, {"batch*": 1200.0}))
    by_steps = wanted(steps={**STEPS, "job_holds": "step"})
    assert {rule for one in by_steps for rule in one.rules} > {"train", "generate"}
    longer = {
        **PROFILE,
        "default-resources": {"slurm_partition": "long", "runtime": "60 * attempt"},
    }
    assert not faults(limit_checks._times(longer, these, {"batch*": 1200.0, "long": 2000.0}))


def test_the_limits_of_the_driver_and_of_the_number_of_jobs_are_compared():
    limits = {"batch*": 60.0, "long": 2880.0}
    (fault,) = faults(limit_checks._driver(limits, 1440, ""))
    assert "asks for 1440 min, and the limit of partition batch is 60. Give launch.py" in fault
    assert not faults(limit_checks._driver(limits, 1440, "long"))
    config = (
        "AccountingStorageType = accounting_storage/none\nMaxJobCount = 100\nMaxArraySize = 2\n"
    )
    jobs, arrays = faults(limit_checks._counts(PROFILE, config))
    assert "200 and the driver exceed MaxJobCount of SLURM, 100. Set jobs: 99" in jobs
    assert "MaxArraySize is 2" in arrays


def test_the_submit_limit_of_an_account_is_compared(monkeypatch):
    monkeypatch.setattr(limit_checks, "slurm", lambda *command: "physics|50\nchemistry|\n")
    config = "AccountingStorageType = accounting_storage/slurmdbd\nClusterName = test\n"
    (fault,) = faults(limit_checks._counts(PROFILE, config))
    assert (
        "200 and the driver exceed the submit limit of account physics, 50. Set jobs: 49" in fault
    )


@pytest.mark.parametrize(
    ("printed", "minutes"),
    [("infinite", float("inf")), ("30:00", 30), ("4:00:00", 240), ("1-12:00:00", 2160)],
)
def test_time_limits_are_read_as_sinfo_prints_them(printed, minutes):
    assert limit_checks._minutes(printed) == minutes


def test_what_the_executor_refuses_is_found_beforehand(tmp_path):
    train = {"gpu_model": "'a100-sxm4'", "gpu": 1}
    extra = {"slurm_extra": "'--account=mine'"}
    settings = {**PROFILE, "set-resources": {"train": train, "chains": extra}}
    steps = {**STEPS, "job_holds": "step"}
    study = Study.model_validate({"experiments": {"steps": steps, "gaussian": GAUSSIAN}})
    settings["groups"] = [*PROFILE["groups"], "train=mine", "generate=mine"]
    found = faults(limit_checks._refused(settings, submissions.all_of(settings, study)))
    assert ["--gpus-per-node" in line for line in found] == [False, True]
    assert "resources of chains: The --account option" in found[0]
    # The remedies are accepted, if all rules of a group have the same.
    train = {"gpu": 0, "slurm_extra": "'--signal=TERM@120 --gpus-per-node=a100-sxm4:1'"}
    settings["set-resources"] = {"train": train, "chains": {"slurm_account": "mine"}}
    (found,) = faults(limit_checks._refused(settings, submissions.all_of(settings, study)))
    assert "different values of slurm_extra" in found
    settings["set-resources"] |= {"generate": train}
    assert not faults(limit_checks._refused(settings, submissions.all_of(settings, study)))


def test_a_folder_of_logs_that_cannot_be_written_is_found(tmp_path):
    assert not limit_checks._logs({}, tmp_path / "new").remedy
    (tmp_path / ".snakemake").write_text("")
    assert limit_checks._logs({}, tmp_path).remedy


def test_failures_name_rules_and_logs(tmp_path):
    (tmp_path / "train.log").write_text("error: no space")
    jobs = [
        SimpleNamespace(rule=SimpleNamespace(name=name), log=[str(tmp_path / f"{name}.log")])
        for name in ("train", "evaluate")
    ]

    class Group(list):
        name = "iteration"

        def is_group(self):
            return True

    printed = executor.failure(SubmittedJobInfo(Group(jobs), "7"), "it FAILED.", ["7.log"])
    assert printed == (
        "error: iteration (SLURM job 7, log 7.log): it FAILED.\n"
        f"    rule train, log {Path(tmp_path, 'train.log')}"
    )
