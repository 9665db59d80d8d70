"""Snakemake's SLURM executor, with an answer to what would make it wait for ever (docs/slurm.md).

`use` registers it under the executor's own name, so that ``executor: slurm`` and all its options
mean it. Everything that works is left to the executor of snakemake-executor-plugin-slurm.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from snakemake_executor_plugin_slurm import ExecutorSettings, common_settings
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

from collapse.cluster import refusals, slurm
from collapse.cluster.one_step import OneStepExecutor

#: Seconds after which a job that the queue does not list any more is taken for lost.
FORGOTTEN = 600.0

#: The longest wait between two looks at the queue, as a share of the time since the last news.
LATE = 0.1

#: Reasons why a pending job never starts unless somebody changes it, its account or its partition.
NEVER = {
    *("PartitionTimeLimit", "PartitionNodeLimit", "PartitionConfig", "BadConstraints"),
    *("AccountNotAllowed", "InvalidAccount", "InvalidQOS", "QOSNotAllowed"),
    *("AssocMaxWallDurationPerJobLimit", "QOSMaxWallDurationPerJobLimit"),
    *("JobHeldAdmin", "JobHeldUser", "ReqNodeNotAvail", "DependencyNeverSatisfied"),
}


def use() -> None:
    """Have Snakemake take this executor for ``slurm`` from now on, in this process."""
    registry = ExecutorPluginRegistry()
    module = SimpleNamespace(
        Executor=Executor, common_settings=common_settings, ExecutorSettings=ExecutorSettings
    )
    registry.plugins["slurm"] = registry.load_plugin("slurm", module)


class Executor(OneStepExecutor):
    """The executor, which tells why a submission fails and outlives a controller that is away."""

    def __init__(self, workflow: Any, logger: Any) -> None:
        # The executor starts a thread that asks for jobs before it calls __post_init__.
        slurm.forget_preferences(os.environ)
        self._room: refusals.WaitingRoom[Any] = refusals.WaitingRoom(self._again, self._say)
        self._ended: set[int] = set()
        self._unlisted: dict[str, float] = {}
        self._submitted: set[str] = set()
        self._told: set[tuple[str, str]] = set()
        self._answers = True
        self._news = time.monotonic()
        super().__init__(workflow, logger)

    def _say(self, message: str) -> None:
        self.logger.warning(message)

    # Submissions.

    def run_job(self, job: Any) -> None:
        """Submit a job; a submission that fails in any way is reported with its reason."""
        try:
            super().run_job(job)
        except Exception as error:
            # The executor's own handler of errors fails for groups, which lack an attribute that it
            # reads; the error that it handled is the context of its own.
            self._report_job_error_threadsafe(
                SubmittedJobInfo(job), str(error.__context__ or error)
            )

    def _report_job_error_threadsafe(self, job_info: SubmittedJobInfo, msg: str) -> None:
        """Have a job wait if its refusal passes; otherwise report it, without further attempts."""
        words = refusals.words_of(msg)
        if refusals.passes(words, _others_wait):
            self._room.put(job_info.job, words)
            return
        # The next attempt would be refused alike.
        job_info.job.attempt = job_info.job.restart_times + 1
        super()._report_job_error_threadsafe(job_info, f"it could not be submitted: {words}")

    def _again(self, job: Any, words: str) -> None:
        """Submit a job that was refused, unless it had arrived and only the answer was lost."""
        try:
            arrived = slurm.UNANSWERED.search(words) and self._arrived(job)
        except slurm.SlurmError:
            self._room.put(job, words)
            return
        if not arrived:
            self.run_job(job)
            return
        self._say(f"Job {arrived.number} was submitted, although SLURM said: {words}")
        self._report_job_submission_threadsafe(
            SubmittedJobInfo(job, arrived.number, {"slurm_logfile": Path(arrived.log)})
        )

    def _arrived(self, job: Any) -> slurm.Job | None:
        """Return the job in the queue that runs a job's command, if there is one."""
        command = self.format_job_exec(job)
        for found in slurm.queue():
            if found.name != self.run_uuid or found.number in self._submitted:
                continue
            if command in slurm.slurm("scontrol", "write", "batch_script", found.number, "-"):
                return found
        return None

    def report_job_submission(self, job_info: SubmittedJobInfo, register_job: bool = True) -> None:
        """Report a submission to Snakemake."""
        self._submitted.add(str(job_info.external_jobid))
        self._news = time.monotonic()
        super().report_job_submission(job_info, register_job=register_job)

    def cancel(self) -> None:
        """Cancel the jobs in the queue, and submit none that was refused."""
        self._room.close()
        super().cancel()

    # Jobs in the queue.

    async def sleep(self) -> None:
        """Wait until the next look at the queue, which the executor alone puts off too long.

        It waits 10 s longer after each look without news: half a minute for jobs that take two.
        """
        settings = self.workflow.executor_settings
        longest = max(
            settings.init_seconds_before_status_checks, LATE * (time.monotonic() - self._news)
        )
        await asyncio.sleep(min(self.next_seconds_between_status_checks, longest))

    async def check_active_jobs(
        self, active_jobs: list[SubmittedJobInfo]
    ) -> AsyncIterator[SubmittedJobInfo]:
        """Yield the jobs that go on, and report those that have ended or are lost."""
        self._ended.clear()
        async for _ in super().check_active_jobs(active_jobs):
            pass
        # If the queue did not answer, the executor yields no job at all.
        left = [job for job in active_jobs if id(job) not in self._ended]
        for job in self._known(left):
            yield job

    def report_job_success(self, job_info: SubmittedJobInfo) -> None:
        """Report to Snakemake that a job has ended well."""
        self._ended.add(id(job_info))
        self._news = time.monotonic()
        super().report_job_success(job_info)

    def report_job_error(
        self, job_info: SubmittedJobInfo, msg: str | None = None, **kwargs: Any
    ) -> None:
        """Report to Snakemake that a job has failed."""
        self._ended.add(id(job_info))
        self._news = time.monotonic()
        super().report_job_error(job_info, msg, **kwargs)

    def _known(self, jobs: list[SubmittedJobInfo]) -> list[SubmittedJobInfo]:
        """Return those jobs that are not lost; say which of them will never start."""
        if not jobs:
            return jobs
        try:
            listed = {job.number: job for job in slurm.queue()}
        except slurm.SlurmError as error:
            if self._answers:
                self._say(f"The queue does not answer: {error}. Snakemake waits until it does.")
            self._answers = False
            return jobs
        if not self._answers:
            self._say("The queue answers again.")
        self._answers = True
        now, known = time.monotonic(), []
        for job in jobs:
            number = str(job.external_jobid)
            elsewhere = self._submitted_job_clusters  # squeue lists this cluster alone
            if number not in listed and not elsewhere:
                since = self._unlisted.setdefault(number, now)
                if now - since >= FORGOTTEN:
                    self.report_job_error(
                        job, f"SLURM knows nothing of it any more, for {FORGOTTEN:.0f} s"
                    )
                    continue
            elif number in listed:
                self._unlisted.pop(number, None)
                self._warn(number, listed[number], job)
            known.append(job)
        return known

    def _warn(self, number: str, listed: slurm.Job, job: SubmittedJobInfo) -> None:
        reason = listed.reason
        if listed.state == "PENDING" and reason in NEVER and (number, reason) not in self._told:
            self._told.add((number, reason))
            self._say(
                f"Job {number} ({job.job.name}) does not start, because SLURM says {reason}: "
                f"see scontrol show job {number}. Snakemake waits for it; after scancel {number} "
                "it submits the job again."
            )

    # Failures.

    def print_job_error(
        self, job_info: SubmittedJobInfo, msg: str | None = None, **kwargs: Any
    ) -> None:
        """Print what failed and why, also if the profile has Snakemake quiet about rules."""
        super().print_job_error(job_info, msg=msg, **kwargs)
        logs = [log for log in kwargs.get("aux_logs") or [] if log]
        self.logger.error(failure(job_info, msg or "", logs))


def failure(job_info: SubmittedJobInfo, why: str, logs: list[str]) -> str:
    """Describe a failed submission in a line, and its jobs that have a log in one line each."""
    job, number = job_info.job, job_info.external_jobid
    why = why.removesuffix(" Detailed failure reason unavailable (status command is not 'sacct').")
    where = f" (SLURM job {number}, log {', '.join(logs)})" if number else ""
    lines = [f"error: {job.name}{where}: {why}"]
    for each in job if job.is_group() else [job]:
        written = [log for log in each.log if number and Path(log).is_file()]
        lines += [f"    rule {each.rule.name}, log {log}" for log in written]
    return "\n".join(lines)


def _others_wait() -> bool:
    """Tell whether this user has jobs in the queue, also if the queue does not answer."""
    try:
        return any(job.state not in slurm.ENDED for job in slurm.queue())
    except slurm.SlurmError:
        return True
