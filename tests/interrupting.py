"""Send signals to the jobs of a running workflow, and to a training in this process."""

import os
import signal
import subprocess
import time
from contextlib import closing
from pathlib import Path


def until(run, ready):
    """Wait until something of a run is ready, and return it."""
    deadline = time.monotonic() + 120
    while not (found := ready()):
        assert run.poll() is None, "the run ended before"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def process_of(workflow, script):
    """Return the process of a running job, by the name of its script, or None."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if any(
            word.startswith(bytes(workflow.directory)) and word.endswith(script.encode())
            for word in words[:3]
        ):
            return int(folder.name)
    return None


def trains(job):
    """Tell whether a process is in the loop of training, which handles SIGTERM."""
    status = Path(f"/proc/{job}/status").read_text()
    (caught,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


def killed(workflow, *targets, ready, how=signal.SIGKILL):
    """Run, and signal Snakemake and all its jobs as soon as it is ready."""
    run = subprocess.Popen(
        workflow.command(*targets),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until(run, ready)
    os.killpg(run.pid, how)
    run.wait(timeout=60)
    if how == signal.SIGKILL:
        workflow.run("--unlock")


def interrupted(workflow, target, script, how, ready):
    """Run up to a target, but signal its job soon after it is ready."""
    printed = workflow.directory / "printed.txt"
    with open(printed, "w") as output:
        run = subprocess.Popen(workflow.command(target), stdout=output, stderr=output)
        try:
            job = until(run, lambda: process_of(workflow, script))
            until(run, lambda: ready(job))
            time.sleep(0.3)
            os.kill(job, how)
            assert run.wait(timeout=120) != 0
        finally:
            run.kill()
            run.wait()
    return printed.read_text()


def stopped_halfway(monkeypatch):
    """Send SIGTERM in the middle of the first training; return the steps that are begun."""
    from collapse.training import batches

    shares, begun = batches.shares, []

    def stopping(task, numbers, *others):
        first = not begun
        with closing(shares(task, numbers, *others)) as made:
            for number, share in zip(numbers, made, strict=True):
                begun.append(number)
                if first and number == len(numbers) // 2:
                    os.kill(os.getpid(), signal.SIGTERM)
                yield share

    monkeypatch.setattr(batches, "shares", stopping)
    return begun
