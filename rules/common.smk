# The study, the patterns of wildcards, and the functions that look up inputs and parameters.
#
# in:  the study file that config["study"] names, relative to the working directory or the project
# out: STUDY; inputs and steps, whose methods the rules use as functions (scripts/collapse/loop)
import sys
import time

sys.path.insert(0, str(PROJECT / "scripts"))

from collapse.artifacts import remedies
from collapse.loop import run
from collapse.loop.inputs import Inputs, any_of
from collapse.loop.step_inputs import StepInputs


wildcard_constraints:
    experiment=r"[A-Za-z][A-Za-z0-9_-]*",
    point=r"[^/]+",
    regime=r"[^/]+",
    seed=r"\d+",
    iteration=r"[1-9]\d*",
    start=r"\d+",
    stop=r"\d+",


STARTED = time.time()
STUDY, ENVIRONMENTS = run.configuration(config, [Path(), PROJECT])
inputs = Inputs(STUDY, ENVIRONMENTS, PROJECT)
steps = StepInputs(inputs)
remedies.note_command(PROJECT, config["study"])
