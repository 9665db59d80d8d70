"""Print why each job of the study would run."""

from pathlib import Path

from collapse.errors import JobError
from collapse.loop import explain, run
from collapse.loop.inputs import Inputs
from collapse.loop.step_inputs import StepInputs

project = Path(snakemake.scriptdir).parent
try:
    study = run.begin(snakemake.config, [Path(), project], main=True)
    inputs = Inputs(study.study, study.environments, project, sources=study.sources)
    summary = explain.pending(project / "Snakefile", snakemake.config["study"])
    said = explain.explain(summary, inputs, StepInputs(inputs))
    Path(snakemake.log[0]).write_text(f"{said}\n", encoding="utf-8")
    print(said)
except JobError as error:
    raise SystemExit(f"error: {error}") from None
