"""Faults in jobs of the tests, which Python imports when it starts, from PYTHONPATH.

$FAULTS is a folder with a file <name>.fault for each fault. The file has the words that a job's
command line must contain, the action, and how often it strikes. A file <name>.<number> shows that
it struck the job of this number, and over.<number> that a job that is held may go on. While there
is a file `slow`, every update of a training takes as many seconds longer as it says, and while
there is a file `stay`, no step generates. A training that has made an update writes a file
`trains`. The code of the project does not know of faults.
"""

import importlib.abc
import importlib.util
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

FAULTS = Path(os.environ.get("FAULTS", ""))

#: Seconds between two looks at the queue, and until a refused submission is made again, at most.
LOOK_EVERY, LONGEST = float(os.environ.get("LOOK_EVERY", "0")), 10.0


def command_line() -> str:
    return Path("/proc/self/cmdline").read_bytes().replace(b"\0", b" ").decode()


def strike(words: str) -> None:
    for fault in sorted(FAULTS.glob("*.fault")):
        matches, action, times = fault.read_text().splitlines()
        if not all(part in words for part in matches.split()):
            continue
        job = os.environ["SLURM_JOB_ID"]
        if action == "allocate":  # at every attempt, so that only a retry with more memory succeeds
            (FAULTS / f"{fault.stem}.{job}").touch()
            held = b"x" * (600 * 2**20)
            time.sleep(6)  # in which SLURM looks at the memory twice at least
            del held
            continue
        for number in range(int(times)):
            try:
                os.close(os.open(FAULTS / f"{fault.stem}-{number}", os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                continue
            (FAULTS / f"{fault.stem}.{job}").touch()
            if action == "exit":
                os._exit(1)
            while not (FAULTS / f"over.{job}").exists():  # the action hold
                time.sleep(0.2)
            break


def slow_down(trainer) -> None:
    advance = trainer._Run.advance

    def slowly(run, *arguments):
        with suppress(FileNotFoundError):
            time.sleep(float((FAULTS / "slow").read_text()))
        advance(run, *arguments)
        (FAULTS / "trains").touch()

    trainer._Run.advance = slowly


def stay(steps) -> None:
    generate = steps.generate

    def later(*arguments, **settings):
        while (FAULTS / "stay").exists():
            time.sleep(0.2)
        generate(*arguments, **settings)

    steps.generate = later


def hurry(refusals) -> None:
    refusals.LONGEST = LONGEST


def look_often(executor) -> None:
    executor.Executor.next_seconds_between_status_checks = property(
        lambda self: LOOK_EVERY, lambda self, grown: None
    )


class Changes(importlib.abc.MetaPathFinder):
    """Changes modules when they are imported."""

    def __init__(self, changes):
        self.changes = changes

    def find_spec(self, name, path=None, target=None):
        if name not in self.changes:
            return None
        change = self.changes.pop(name)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            change(module)

        spec.loader.exec_module = exec_module
        return spec


if "FAULTS" in os.environ:
    changes = {
        "collapse.training.trainer": slow_down,
        "collapse.loop.steps": stay,
        "collapse.cluster.refusals": hurry,
    }
    if LOOK_EVERY:
        changes["collapse.cluster.executor"] = look_often
    sys.meta_path.insert(0, Changes(changes))

if "FAULTS" in os.environ and "SLURM_JOB_ID" in os.environ and sys.platform == "linux":
    words = command_line()
    # This is the process that runs a submission's jobs, not the one that starts its step.
    if "--target-jobs" in words and "job_step.py" not in words:
        strike(words)
