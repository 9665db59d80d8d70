# The study, the patterns of wildcards, and the functions that look up inputs and parameters.
#
# in:  the study file that config["study"] names, relative to the working directory or the project;
#      the processes of jobs read its snapshot, so that a study edited meanwhile changes nothing
# out: RUN, STUDY; inputs, chains and steps, whose methods the rules use as functions (scripts/collapse/loop)
import sys
import time

from snakemake.io import IOFile
from snakemake.settings.types import DeploymentMethod

if PROJECT.is_dir():
    sys.path.insert(0, str(PROJECT / "scripts"))

try:
    from collapse.loop import run
except ModuleNotFoundError as error:
    if error.name != "collapse":
        raise
    sys.exit(
        f"error: {PROJECT} is not on this machine: install its package (docs/module.md)"
    )

from collapse.artifacts import remedies
from collapse.artifacts.paths import SCORED
from collapse.cluster import executor
from collapse.loop import records
from collapse.loop.chain_inputs import ChainInputs
from collapse.loop.forcing import Forcing
from collapse.loop.inputs import Inputs, any_of
from collapse.loop.step_inputs import StepInputs


wildcard_constraints:
    experiment=r"[A-Za-z][A-Za-z0-9_-]*",
    point=r"any|[^/]*=[^/]*",  # no other folder, such as data
    regime=r"[^/]+",
    seed=r"\d+",
    iteration=r"[1-9]\d*",
    kind=f"|{SCORED}",
    start=r"\d+",
    stop=r"\d+",


STARTED = time.time()
RUN = run.begin(
    config,
    [Path(), PROJECT],
    main=workflow.is_main_process,
    # The number of submissions at a time; without a cluster there are cores alone.
    on_cluster=workflow.is_main_process
    and workflow.resource_settings.nodes is not None,
)
STUDY = RUN.study
# On a host of git, environments are looked for beside rules/.
FOLDER = PROJECT if PROJECT.is_dir() else Path("..")
forcing = Forcing(lambda: workflow.dag_settings, main=workflow.is_main_process)
inputs = Inputs(
    STUDY,
    RUN.environments,
    FOLDER,
    sources=RUN.sources,
    forcing=forcing,
    job_holds=RUN.job_holds,
    on_cluster=RUN.on_cluster,
)
# Snakemake evaluates a function for every job, even if no job has an environment of its own.
uses_conda = DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method
environment_of = inputs.environment_of if uses_conda else inputs.environment("neural")


# Only Snakemake knows which jobs make an output, and only our records what it is made of. This set of
# Snakemake's is what --force fills.
def force(path):
    """Have the job of an output run, while the graph is built."""
    workflow.dag.forcefiles.add(path)


def force_unknown(path):
    """Do so if Snakemake does not know the parameters of the job that wrote the output."""
    if workflow.persistence.metadata(IOFile(path)) is None:
        force(path)


chains = ChainInputs(inputs, finish=workflow.is_main_process, force=force)
steps = StepInputs(inputs, finish=workflow.is_main_process, force=force_unknown)
remedies.note_command(PROJECT, config["study"])


envvars:
    run.SNAPSHOT,


if workflow.is_main_process:
    SUMMARY = run.summary_state()
    if not workflow.output_settings.dryrun:
        RUN.write_snapshot()
    executor.use()  # what "executor: slurm" of a profile means (docs/slurm.md)
