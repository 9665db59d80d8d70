"""Starting the ranks of data-parallel training, on this machine or on nodes of a SLURM job."""

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

from collapse.training.optimisation import Interrupted, TrainingError
from collapse.training.signals import on_stop

#: Seconds that the other ranks get to end by themselves once one has failed.
GRACE = 30.0


def launch(module: str, arguments: Sequence[str], ranks: int, nodes: int = 1) -> None:
    """Run a module in several ranks, and wait for them.

    Signals to stop are passed on, and the ranks may then take as long as they need. torchrun is
    not used: its agent abandons the ranks at a second signal, and would get every signal twice,
    since SLURM signals all processes of a job.

    Parameters
    ----------
    module : str
        Name of the module, which is run with ``python -m``.
    arguments : sequence of str
        Arguments of the module.
    ranks : int
        Number of ranks on all nodes together.
    nodes : int
        Number of nodes of this process's SLURM job; each gets the same number of ranks.

    Raises
    ------
    TrainingError
        If the ranks can't be shared equally among the nodes, or one ends with another status
        than 0; the others are then ended too.
    Interrupted
        If a rank ends with another status than 0 after a signal to stop.
    """
    if ranks % nodes:
        raise TrainingError(f"found {ranks} GPUs for {nodes} nodes, expected as many on each node")
    command = [sys.executable, "-m", module, *arguments]
    starts = _here(command, ranks) if nodes == 1 else _on_nodes(command, ranks, nodes)
    statuses, received = _run(starts)
    if any(statuses):
        if received:
            raise Interrupted(f"{ranks} ranks of {module} were stopped by {received[0].name}")
        raise TrainingError(f"{ranks} ranks of {module} ended with statuses {statuses}")


def run_module(module: str, arguments: Sequence[str]) -> None:
    """Run a module in a process of its own, wait for it, and pass on signals to stop.

    If it fails, this process exits with the same status; the module has said why.
    """
    (status,), _ = _run([([sys.executable, "-m", module, *arguments], _environment())])
    if status:
        sys.exit(status if status > 0 else 128 - status)


_Start = tuple[list[str], Mapping[str, str]]


def _run(starts: Sequence[_Start]) -> tuple[list[int], list[signal.Signals]]:
    """Run processes, each a command and its environment, until all have ended.

    Signals to stop are passed on. Returns the exit statuses, and the signals.
    """
    processes: list[subprocess.Popen[bytes]] = []
    received: list[signal.Signals] = []

    def pass_on(number: signal.Signals) -> None:
        received.append(number)
        for process in processes:
            process.send_signal(number)

    with on_stop(pass_on):
        try:
            for words, environment in starts:
                # In a session of its own a rank gets Ctrl-C only once, from here.
                processes.append(subprocess.Popen(words, env=environment, start_new_session=True))
            _wait(processes)
        finally:
            for process in processes:
                process.kill()
                process.wait()
    return [process.returncode for process in processes], received


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
    """Describe the SLURM step that runs all ranks; this process is on the job's first node."""
    step = [
        *("srun", f"--nodes={nodes}", f"--ntasks={ranks}", f"--ntasks-per-node={ranks // nodes}"),
        *("--distribution=block", "--kill-on-bad-exit=1"),
        # This process is in a step, too, which holds all resources of the job.
        *("--overlap", "--overcommit", "--cpu-bind=none"),
    ]
    # SLURM's variables describe the step of this process, not the one that is started.
    other = re.compile(r"SLURM_(?!CONF$|JOB_?ID$)|SRUN_|SBATCH_|MASTER_PORT$|WORLD_SIZE$")
    kept = {name: value for name, value in _environment().items() if not other.match(name)}
    return [([*step, *command], {**kept, "MASTER_ADDR": socket.gethostname()})]


def _environment() -> dict[str, str]:
    """Return an environment in which ranks find the package, and compute in one thread each."""
    package = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    return {"OMP_NUM_THREADS": "1", **os.environ, "PYTHONPATH": path}


def _wait(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Wait until all processes have ended, but at most `GRACE` seconds after one has failed."""
    deadline = float("inf")
    while (statuses := [process.poll() for process in processes]).count(None):
        if any(statuses):
            deadline = min(deadline, time.monotonic() + GRACE)
        if time.monotonic() > deadline:
            return
        time.sleep(0.1)
