"""Runs of Snakemake as forks of one process that has imported it, which takes most of a dry run.

Nothing of this project is imported before the fork, so that a run reads the project as it is then.
The scripts of its jobs are forks as well (`forked_jobs`).
"""

import atexit
import gc
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import forked_jobs


def snakemake(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """Run `snakemake` with these arguments in this environment and working directory."""
    with TemporaryDirectory() as folder:
        printed = [Path(folder) / name for name in ("stdout", "stderr")]
        request = (
            *(arguments, str(Path.cwd()), dict(os.environ)),
            *([*map(str, printed)], forked_jobs.server()),
        )
        running = server()
        running.stdin.write(json.dumps(request) + "\n")
        running.stdin.flush()
        status = int(running.stdout.readline())
        return subprocess.CompletedProcess(arguments, status, *(p.read_text() for p in printed))


@cache
def server() -> subprocess.Popen[str]:
    """Start the process that forks, which ends with this one."""
    started = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(started.communicate)
    return started


def serve() -> None:
    # What Snakemake imports to read the rules, and for any script; and what the rules import.
    import nbformat  # noqa: F401
    import netCDF4  # noqa: F401
    import pydantic  # noqa: F401
    import ruamel.yaml  # noqa: F401
    import smart_open  # noqa: F401
    import snakemake.cli
    import xarray  # noqa: F401

    snakemake.cli.parse_args([])  # which imports Snakemake's plugins
    gc.collect()
    gc.freeze()  # else every fork visits, and so copies, all of this memory
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            arguments, directory, environment, printed, jobs = json.loads(line)
            os.chdir(directory)
            os.environ.clear()
            os.environ.update(environment)
            for number, path in enumerate([os.devnull, *printed]):
                flags = os.O_WRONLY | os.O_CREAT if number else os.O_RDONLY
                os.dup2(os.open(path, flags), number)
            if jobs:
                fork_scripts(jobs)
            sys.argv = ["snakemake", *arguments]
            sys.path[0] = ""  # as `python -m` has it, not the folder of tests
            forked_jobs.to_the_end(snakemake.cli.main)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def fork_scripts(jobs: str) -> None:
    """Have Snakemake run Python scripts as forks of a server, except those with an environment."""
    import snakemake.script

    class Script(snakemake.script.PythonScript):
        def execute_script(self, fname, edit=False):
            if self.conda_env is not None:
                super().execute_script(fname, edit)
            elif status := forked_jobs.run(jobs, fname):
                raise subprocess.CalledProcessError(status, ["python", fname])

    snakemake.script.PythonScript = Script


if __name__ == "__main__":
    serve()
