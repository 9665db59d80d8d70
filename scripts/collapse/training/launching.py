"""Starting the ranks of a data-parallel training, here or on the nodes of a SLURM job."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from collapse.training.distributed import on_stop
from collapse.training.optimisation import Interrupted, TrainingError

#: Seconds that the other ranks have to end by themselves once one has failed.
GRACE = 30.0


def launch(module: str, arguments: Sequence[str], ranks: int, nodes: int = 1) -> None:
    """Run a module in several ranks, and wait for them.

    Signals to stop are passed on, and the ranks then have all the time they need. Not by
    torchrun: its agent abandons the ranks at a second signal, and SLURM signals every
    process of a job, so that they would get the signal twice.

    Parameters
    ----------
    module : str
        What to run, with ``python -m``.
    arguments : sequence of str
        Its arguments.
    ranks : int
        How many, on all nodes together.
    nodes : int
        Of the SLURM job that this process is in; all have the same number of ranks.

    Raises
    ------
    TrainingError
        If a rank ends with another status than 0; the others are then ended too.
    Interrupted
        If it did after a signal.
    """
    if ranks % nodes:
        raise TrainingError(f"found {ranks} GPUs for {nodes} nodes, expected as many on each")
    command = [sys.executable, "-m", module, *arguments]
    starts = _here(command, ranks) if nodes == 1 else _on_nodes(command, ranks, nodes)
    processes: list[subprocess.Popen[bytes]] = []
    received: list[signal.Signals] = []

    def pass_on(number: signal.Signals) -> None:
        received.append(number)
        for process in processes:
            process.send_signal(number)

    with on_stop(pass_on):
        try:
            for words, environment in starts:
                # Of their own session: Ctrl-C reaches them once, through here.
                processes.append(subprocess.Popen(words, env=environment, start_new_session=True))
            _wait(processes)
        finally:
            for process in processes:
                process.kill()
                process.wait()
    statuses = [process.returncode for process in processes]
    if any(statuses):
        if received:
            raise Interrupted(f"{ranks} ranks of {module} were stopped by {received[0].name}")
        raise TrainingError(f"{ranks} ranks of {module} ended with statuses {statuses}")


_Start = tuple[list[str], Mapping[str, str]]


def _here(command: list[str], ranks: int) -> list[_Start]:
    """Describe a process for each rank, on this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {
        **({"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}),
        **_environment(),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(ranks),
        "LOCAL_WORLD_SIZE": str(ranks),
    }
    return [
        (command, {**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}) for rank in range(ranks)
    ]


def _on_nodes(command: list[str], ranks: int, nodes: int) -> list[_Start]:
    """Describe the step of a SLURM job that is all ranks; this process is on its first node."""
    step = [
        *("srun", f"--nodes={nodes}", f"--ntasks={ranks}", f"--ntasks-per-node={ranks // nodes}"),
        *("--distribution=block", "--kill-on-bad-exit=1"),
        # This process is a step, too, and has all that the job has.
        *("--overlap", "--overcommit", "--cpu-bind=none"),
    ]
    # What SLURM said of this step is not true of that one.
    other = re.compile(r"SLURM_(?!CONF$|JOB_?ID$)|SRUN_|SBATCH_|MASTER_PORT$|WORLD_SIZE$")
    kept = {name: value for name, value in _environment().items() if not other.match(name)}
    return [([*step, *command], {**kept, "MASTER_ADDR": socket.gethostname()})]


def _environment() -> dict[str, str]:
    """Return what all ranks need to find the package, and to compute in one thread."""
    package = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    return {"OMP_NUM_THREADS": "1", **os.environ, "PYTHONPATH": path}


def _wait(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Wait until all have ended, but not long once one has failed."""
    deadline = float("inf")
    while (statuses := [process.poll() for process in processes]).count(None):
        if any(statuses):
            deadline = min(deadline, time.monotonic() + GRACE)
        if time.monotonic() > deadline:
            return
        time.sleep(0.1)
