"""Processor seconds that a step takes before its own work begins: imports, and first uses.

A step of a tiny example (tests/contract) runs in a process of its own, and there once more, when
all is imported. What the first takes beyond the second is the start-up, the interpreter's included.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from processes import verdict

PROJECT = Path(__file__).parents[1]

#: A step has to start within so many times what the imports of torch and its library take.
LIMIT = 1.5

TORCH = "import torch"
#: torch's optimisers import its compiler.
TRAINING = "import torch, torch._dynamo"
#: The class of a model; importing transformers alone takes a fifth of this.
MODEL = "import torch; from transformers import LlamaForCausalLM"

#: The imports that each step of a family can't do without, in the order in which steps run.
NEEDED = {
    "language_model": {
        "prepare": "import torch, tokenizers",
        "assemble": TORCH,
        "train": MODEL,
        "generate": MODEL,
        "evaluate": MODEL,
    },
    "fine_tuning": {
        "pretrain": MODEL,
        "prepare": "import torch, tokenizers",
        "assemble": TORCH,
        "train": MODEL,
        "generate": MODEL,
        "evaluate": MODEL,
    },
    "vae": {
        "prepare": "import torch, sklearn.cluster",
        "assemble": TORCH,
        "train": TRAINING,
        "generate": TORCH,
        "evaluate": TORCH,
    },
    "molecule_diffusion": {
        "prepare": "import torch, rdkit.Chem",
        "assemble": TORCH,
        "train": TRAINING,
        "generate": TORCH,
        "evaluate": "import torch, rdkit.Chem",
    },
}

RUN = """\
import json, os, resource, shutil, sys
from contract import examples

def seconds():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime

family, step = sys.argv[1:]
iteration = () if step in ("pretrain", "prepare") else (1,)
used = []
for turn in ("first", "second"):
    shutil.copytree("before", turn)
    os.chdir(turn)
    getattr(examples.loop_of(family), step)(*iteration)
    os.chdir("..")
    used.append(seconds())
first, both = used
print("\\n" + json.dumps([2 * first - both, both - first]))
"""


def run(code: str, *arguments: str, folder: Path = PROJECT) -> tuple[str, float]:
    """Run Python code in a process, and return what it printed and its processor seconds."""
    path = os.pathsep.join(str(PROJECT / one) for one in ("tests", "scripts"))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def steps_of(family: str, steps: Iterable[str], folder: Path) -> dict[str, list[float]]:
    """Run steps of a family's example; return the seconds of start-up and of work of each."""
    found = {}
    before = folder / "before"
    before.mkdir()
    run(f"from contract import examples; examples.of({family!r}).files()", folder=before)
    for step in steps:
        printed, _ = run(RUN, family, step, folder=folder)
        found[step] = list(json.loads(printed.splitlines()[-1]))
        for done in (before, folder / "second"):
            shutil.rmtree(done)
        (folder / "first").rename(before)
    return found


def report(quick: bool) -> list[bool]:
    """Print the start-up of each step; return which are within their limit."""
    turns = 1 if quick else 3
    shown = {"vae": dict([*NEEDED["vae"].items()][:2])} if quick else NEEDED
    needed = dict.fromkeys([TORCH, *(code for of in shown.values() for code in of.values())])
    least = {code: min(run(code)[1] for _ in range(turns)) for code in needed}
    print(
        "\nstart-up of a step, and its work on a tiny example; processor seconds, least of "
        f"{turns}\nimport torch takes {least[TORCH]:.1f}; the limit is {LIMIT} times its imports"
        f"\n{'family':<20}{'step':<10}{'start-up':>10}{'work':>7}{'limit':>7}"
    )
    met = []
    for family, steps in shown.items():
        runs = []
        for _ in range(turns):
            with tempfile.TemporaryDirectory() as folder:
                runs.append(steps_of(family, steps, Path(folder)))
        for step, code in steps.items():
            start, work = (min(one[step][part] for one in runs) for part in (0, 1))
            limit = LIMIT * least[code]
            met.append(quick or start <= limit)
            said = "" if quick else f"  {verdict(met[-1])}"
            print(
                f"{family:<20}{step:<10}{start:>10.1f}{work:>7.1f}{limit:>7.1f}{said}", flush=True
            )
    return met
