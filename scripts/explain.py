"""Print why each job of the study would run."""

from pathlib import Path

from collapse.errors import JobError
from collapse.loop import explain, run
from collapse.loop.inputs import Inputs
from collapse.loop.step_inputs import StepInputs

project = Path(snakemake.scriptdir).parent
try:
    study = run.begin(snakemake.config, [Path(), project], main=True, forced=[])
    inputs = Inputs(study.study, study.environments, project, sources=study.sources)
    summary = explain.pending(project / "Snakefile", snakemake.config["study"])
    print(explain.explain(summary, inputs, StepInputs(inputs)))
except JobError as error:
    raise SystemExit(f"error: {error}") from None
