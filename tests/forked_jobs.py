"""Scripts of jobs as forks of one process that has imported the libraries they use.

Importing them takes most of a tiny job. Nothing of this project is imported before the fork, so
that a job reads the project as it is then. How jobs start for users, as processes of their own, is
checked where the tests start Snakemake as a process (`running.Workflow.command`), and on SLURM.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

#: What scripts import, if it is installed.
LIBRARIES = """
    netCDF4 pandas pydantic pyarrow.parquet ruamel.yaml safetensors.numpy scipy.special scipy.stats
    snakemake.script tokenizers xarray yaml
    matplotlib.backends.backend_agg matplotlib.backends.backend_svg matplotlib.pyplot
    safetensors.torch torch torch.nn.functional torch.utils.data
    transformers.models.auto.modeling_auto transformers.models.gemma2.modeling_gemma2
    transformers.models.gpt2.modeling_gpt2 transformers.models.llama.modeling_llama
"""
#: What every job sets before it imports them (`collapse.job`), and what they read while imported.
#: Arrow starts no thread, because a fork has none of those that were started before.
ENVIRONMENT = {
    **{"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1", "TRANSFORMERS_VERBOSITY": "error"},
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}


@cache
def server() -> str:
    """Start the process that forks; return the path of the socket that `run` asks it by.

    Linux alone has what it needs; elsewhere the path is empty, and jobs start as for users.
    """
    if sys.platform != "linux":
        return ""
    folder = TemporaryDirectory()
    path = f"{folder.name}/socket"
    started = subprocess.Popen(
        [sys.executable, __file__, path],
        env=os.environ | ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert started.stdout.readline() == b"ready\n"
    atexit.register(folder.cleanup)
    atexit.register(started.communicate)  # its standard input ends, and so does it
    return path


def serve(path: str) -> None:
    for name in LIBRARIES.split():
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            continue
    assert len(os.listdir("/proc/self/task")) == 1, "a library has started a thread"
    gc.collect()
    gc.freeze()  # else every fork visits, and so copies, all of this memory
    clients: dict[int, socket.socket] = {}  # of the jobs that run, by their descriptors
    jobs: dict[int, int] = {}
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        print("ready", flush=True)
        while True:
            ready = select.select([listening, sys.stdin, *jobs, *clients.values()], [], [])[0]
            if sys.stdin in ready:
                return
            for descriptor in [one for one in jobs if one in ready or clients[one] in ready]:
                if descriptor not in ready:  # a client that is killed takes its job along
                    os.kill(jobs[descriptor], signal.SIGKILL)
                status = os.waitstatus_to_exitcode(os.waitpid(jobs.pop(descriptor), 0)[1])
                os.close(descriptor)
                with clients.pop(descriptor) as client, contextlib.suppress(BrokenPipeError):
                    client.sendall(str(status if status >= 0 else 128 - status).encode())
            if listening in ready:
                client, _ = listening.accept()
                job = start(client)
                descriptor = os.pidfd_open(job)
                clients[descriptor], jobs[descriptor] = client, job


def start(client: socket.socket) -> int:
    """Start the script that a client asks for as a fork, and return its process."""
    received, descriptors, _, _ = socket.recv_fds(client, 2**20, 2)
    while not received.endswith(b"\n"):
        more = client.recv(2**20)
        assert more, "a client was gone before it had asked"
        received += more
    script, directory, environment = json.loads(received)
    job = os.fork()
    if job == 0:
        for number, descriptor in enumerate(descriptors, start=1):
            os.dup2(descriptor, number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(directory)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = [script]
        sys.path[0] = str(Path(script).parent)
        to_the_end(lambda: runpy.run_path(script, run_name="__main__"))
    for descriptor in descriptors:
        os.close(descriptor)
    return job


def to_the_end(main: Callable[[], object]) -> NoReturn:
    """Run the main function of a fork, and end it as Python ends, but for taking all apart.

    That would write to, and so copy, the memory that the fork shares.
    """
    atexit._clear()  # what the process that forked has to do at its own end
    status = 0
    try:
        main()
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        status = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def run(path: str, script: str) -> int:
    """Run a script as a fork of the server, with this process's output; return its exit status."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        request = json.dumps([script, os.getcwd(), dict(os.environ)]) + "\n"
        written = socket.send_fds(connection, [request.encode()], [1, 2])
        connection.sendall(request.encode()[written:])
        return int(connection.recv(16))


if __name__ == "__main__":
    serve(sys.argv[1])
