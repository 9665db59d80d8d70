# The study, the patterns of paths, and the functions that rules ask for inputs and params.
#
# in:  the study file that config["study"] names, relative to the working directory or the project
# out: STUDY, ENVIRONMENTS, MIXING, and the wildcards {experiment}, {point} and {regime}
import sys
import time

sys.path.insert(0, str(PROJECT / "scripts"))

from collapse import families
from collapse.artifacts import chain_file
from collapse.study import mixtures
from collapse import study as studies
from collapse.study import yaml_file


wildcard_constraints:
    experiment=r"[A-Za-z][A-Za-z0-9_-]*",
    point=r"[^/]+",
    regime=r"[^/]+",
    seed=r"\d+",
    iteration=r"[1-9]\d*",
    start=r"\d+",
    stop=r"\d+",


def load_configuration():
    """Load the study, or end with the one line that says what is wrong with it."""
    try:
        study = studies.load(yaml_file.find(config, [Path(), PROJECT]))
        return study, yaml_file.environments(config)
    except studies.StudyError as error:
        sys.exit(f"error: {error}")


STARTED = time.time()
STUDY, ENVIRONMENTS = load_configuration()


def environment(kind):
    """Conda environment of jobs of neural families, or of others."""
    found = ENVIRONMENTS[kind]
    return str(PROJECT / found) if found.endswith((".yaml", ".yml")) else found


def chain_file(spec):
    """Path of a chain's results."""
    return f"results/{spec.experiment}/{spec.point}/{spec.regime_name}.nc"


def chain_of(wildcards):
    """Specification of a chain, as plain values."""
    spec = STUDY.chain(wildcards.experiment, wildcards.point, wildcards.regime)
    return spec.as_dict()


def seeds_of(wildcards):
    """Seeds of an experiment."""
    return STUDY.experiments[wildcards.experiment].seed_list


def version_of(wildcards):
    """Version of the numerics of an experiment's family."""
    return families.load(STUDY.experiments[wildcards.experiment].family).VERSION


def chains_of(wildcards):
    """Files of all chains of an experiment."""
    return [chain_file(spec) for spec in STUDY.chains(wildcards.experiment)]


def cells_of(wildcards):
    """Place of each chain of an experiment on the axes of its dataset."""
    return [
        {"regime": spec.regime_name, **spec.parameters, "samples": spec.samples}
        for spec in STUDY.chains(wildcards.experiment)
    ]


def layout_of(wildcards):
    """Axes and other coordinates of an experiment's dataset."""
    experiment = STUDY.experiments[wildcards.experiment]
    return {
        "family": experiment.family,
        "axes": experiment.all_axes,
        "regimes": STUDY.regimes_of(wildcards.experiment),
        "seeds": experiment.seed_list,
        "iterations": experiment.evaluated,
    }


def all_metrics(wildcards):
    """Datasets of all experiments."""
    return expand("results/{experiment}/metrics.nc", experiment=STUDY.experiments)


#: Experiments with a grid of mixtures of real and synthetic samples.
MIXING = [name for name in STUDY.experiments if mixtures.among(STUDY, name)]


def print_summary():
    """Show the summary on the terminal."""
    text = Path("results/tables/summary.txt")
    if text.exists():
        print(f"\n{text.read_text()}", file=sys.stderr)


def print_errors():
    """Show what failed jobs of a cluster said: their own output is in files there."""
    for path in sorted(Path("logs").rglob("*.log")):
        if path.stat().st_mtime >= STARTED and not workflow.local_exec:
            said = path.read_text()
            if said.startswith("error: "):
                print(f"{path}: {said.strip()}", file=sys.stderr)


def set_damaged_results_aside():
    """Rename result files that can't be opened, so that this run makes them again."""
    for path in sorted(Path("results").glob("*/**/*.nc")):
        if chain_file.is_damaged(path):
            print(f"{path} is damaged: it will be made again", file=sys.stderr)
            chain_file.set_aside(path)


if workflow.is_main_process:
    set_damaged_results_aside()
