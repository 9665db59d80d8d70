"""Faults in jobs of the tests, which Python imports when it starts, from PYTHONPATH.

$FAULTS is a folder with a file <name>.fault for each fault. The file has the words that a job's
command line must contain, the action, and how often it strikes. A file <name>.<number> shows that
it struck the job of this number. The code of the project does not know of faults.
"""

import importlib.abc
import importlib.util
import os
import sys
import time
from pathlib import Path


def command_line() -> str:
    return Path("/proc/self/cmdline").read_bytes().replace(b"\0", b" ").decode()


def strike(folder: Path, words: str) -> None:
    for fault in sorted(folder.glob("*.fault")):
        matches, action, times = fault.read_text().splitlines()
        if not all(part in words for part in matches.split()):
            continue
        job = os.environ["SLURM_JOB_ID"]
        if action == "allocate":  # at every attempt, so that only a retry with more memory succeeds
            (folder / f"{fault.stem}.{job}").touch()
            held = b"x" * (600 * 2**20)
            time.sleep(10)
            del held
            continue
        for number in range(int(times)):
            try:
                os.close(os.open(folder / f"{fault.stem}-{number}", os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                continue
            (folder / f"{fault.stem}.{job}").touch()
            if action == "exit":
                os._exit(1)
            time.sleep(float(action))
            break


def look_every(seconds: float) -> None:
    """Let Snakemake ask SLURM for the state of jobs at constant intervals."""
    from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

    RemoteExecutor.next_seconds_between_status_checks = property(
        lambda executor: seconds, lambda executor, grown: None
    )


class SlowSteps(importlib.abc.MetaPathFinder):
    """Makes every update of a training take longer, by wrapping a method when it is imported."""

    def find_spec(self, name, path=None, target=None):
        if name != "collapse.training.trainer":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            advance = module._Run.advance

            def slowly(run, *arguments):
                time.sleep(float(os.environ["STEP_SECONDS"]))
                advance(run, *arguments)

            module._Run.advance = slowly

        spec.loader.exec_module = exec_module
        return spec


if "STEP_SECONDS" in os.environ:
    sys.meta_path.insert(0, SlowSteps())

if "LOOK_EVERY" in os.environ and "--profile" in sys.orig_argv and "snakemake" in sys.orig_argv:
    look_every(float(os.environ["LOOK_EVERY"]))

if "FAULTS" in os.environ and "SLURM_JOB_ID" in os.environ and sys.platform == "linux":
    words = command_line()
    # This is the process that runs a submission's jobs, not its parent or that of a single job.
    if "--target-jobs" in words and "slurm-jobstep" not in words and "subprocess" not in words:
        strike(Path(os.environ["FAULTS"]), words)
