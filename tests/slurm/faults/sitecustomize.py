"""Faults in jobs of the tests: Python imports this at its start, being on PYTHONPATH.

$FAULTS is a folder. For a fault it holds <name>.fault, with the rule and the wildcards that a
job's command line must hold, what happens, and how often; here, <name>.<number> says in which
job it happened. The code of the project knows nothing of it.
"""

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
        if action == "allocate":  # at every attempt: more memory on retry must be what helps
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


if "FAULTS" in os.environ and "SLURM_JOB_ID" in os.environ and sys.platform == "linux":
    words = command_line()
    # The process that runs a submission's jobs, not the one that starts it, nor a job's own.
    if "--target-jobs" in words and "slurm-jobstep" not in words and "subprocess" not in words:
        strike(Path(os.environ["FAULTS"]), words)
