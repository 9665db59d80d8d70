"""The functions with which the rules look up a job's input files, parameters and environment.

Snakemake calls a function with the wildcards of a job, whose values are strings. The functions
are methods of one object, so that tests can import them without Snakemake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from collapse import families
from collapse import study as studies
from collapse.artifacts import identity
from collapse.artifacts.identity import MadeOf
from collapse.families.contract import Family
from collapse.families.declarations import AVERAGES, Parameters
from collapse.loop import rule_functions
from collapse.loop.batches import chain_path
from collapse.loop.blocks import Blocks, chosen
from collapse.loop.branches import Branches
from collapse.loop.forcing import Forcing
from collapse.loop.lineage import Lineage
from collapse.loop.step_files import StepFiles
from collapse.loop.uncompared import Uncompared
from collapse.study import Study, mixtures
from collapse.study.chain_spec import ChainSpec


def any_of(names: Iterable[str]) -> str:
    """Return a regular expression that matches these names and nothing else."""
    return "|".join(names) or "(?!)"


@rule_functions.known
class Inputs:
    """The functions that rules call for inputs, parameters and environments.

    Parameters
    ----------
    study : Study
        The study to run.
    environments : mapping of str to str
        The conda environments of jobs of families that want a GPU (``neural``) and of all
        ``other`` jobs: a YAML file in the project, or the name or folder of an environment.
    project : Path
        The folder of the Snakefile.
    sources : mapping of str to str
        The checksums of the files and folders that the study names.
    forcing : Forcing, optional
        Which jobs the user forces.
    job_holds : str, optional
        What jobs of experiments by steps hold, if an experiment does not say it.
    on_cluster : bool
        Whether jobs are submitted to a cluster.
    """

    def __init__(
        self,
        study: Study,
        environments: Mapping[str, str],
        project: Path,
        *,
        sources: Mapping[str, str] | None = None,
        forcing: Forcing | None = None,
        job_holds: str | None = None,
        on_cluster: bool = False,
    ) -> None:
        self.study = study
        self.sources = sources or {}
        self.forcing = forcing or Forcing()
        self._environments = environments
        self._job_holds, self._on_cluster = job_holds, on_cluster
        self._project = project
        self.branches = {
            name: Branches(study, name)
            for name, experiment in study.experiments.items()
            if experiment.by_iteration
        }
        self.lineages = {
            name: Lineage(branches, self.sources) for name, branches in self.branches.items()
        }

    @cached_property
    def blocks(self) -> dict[str, Blocks]:
        """The jobs of each experiment that runs by steps, which hold one or several steps."""
        return {
            name: Blocks(
                StepFiles(branches, self.lineages[name]),
                chosen(branches, self._job_holds, on_cluster=self._on_cluster),
            )
            for name, branches in self.branches.items()
        }

    @cached_property
    def mixing(self) -> list[str]:
        """Names of the experiments with a grid of mixtures of real and synthetic samples."""
        return [name for name in self.study.experiments if mixtures.among(self.study, name)]

    @cached_property
    def writing(self) -> list[str]:
        """Names of the experiments whose models generate text that is evaluated."""
        return [
            name
            for name, branches in self.branches.items()
            if branches.family.by_steps.writes_text and branches.evaluates_samples
        ]

    @cached_property
    def pictured(self) -> list[str]:
        """Names of the experiments whose results are shown as pictures."""
        return [
            name
            for name, branches in self.branches.items()
            if branches.family.by_steps.pictures is not None
        ]

    @cached_property
    def published(self) -> list[str]:
        """Names of the experiments with published values."""
        return self.study.compared

    @cached_property
    def bases(self) -> dict[str, MadeOf]:
        """What each base is made of that experiments start from, by its identity."""
        found = {}
        for name, lineage in self.lineages.items():
            for point in self.study.cells[name]:
                made_of = lineage.base(point)
                if made_of is not None:
                    found[identity.identity(made_of)] = made_of
        return found

    @cached_property
    def closed_form(self) -> str:
        """Regular expression of the names of experiments that run in closed form."""
        return any_of(name for name in self.study.experiments if name not in self.branches)

    @cached_property
    def by_iteration(self) -> str:
        """Regular expression of the names of experiments that run by steps."""
        return any_of(self.branches)

    @property
    def all_metrics(self) -> list[str]:
        """Paths of the datasets of all experiments."""
        return [f"results/{name}/metrics.nc" for name in self.study.experiments]

    @property
    def published_metrics(self) -> list[str]:
        """Paths of the datasets of the experiments in `published`."""
        return [f"results/{name}/metrics.nc" for name in self.published]

    def chains_of(self, wildcards: Any) -> list[str]:
        """Return the paths of the results of all chains of an experiment."""
        return [chain_path(spec) for spec in self.study.chains(wildcards.experiment)]

    def chain_of(self, wildcards: Any) -> dict[str, Any]:
        """Return the specification of a chain as plain values."""
        spec = self.study.chain(wildcards.experiment, wildcards.point, wildcards.regime)
        return spec.as_dict()

    def chain_files_of(self, wildcards: Any) -> Uncompared:
        """Return the paths of `chains_of` as a parameter."""
        return Uncompared(self.chains_of(wildcards))

    def seeds_of(self, wildcards: Any) -> list[int]:
        """Return the seeds of an experiment."""
        return self.study.experiments[wildcards.experiment].seed_list

    def version_of(self, wildcards: Any) -> int:
        """Return the version of a closed-form family; 0 for another family."""
        closed_form = self.family(wildcards).closed_form
        return closed_form.version if closed_form is not None else 0

    def cells_of(self, wildcards: Any) -> list[dict[str, Any]]:
        """Return the coordinates of each chain of an experiment in the experiment's dataset."""
        return [spec.cell for spec in self.study.chains(wildcards.experiment)]

    def specifications_of(self, wildcards: Any) -> list[dict[str, Any]]:
        """Return what the file of each chain of an experiment must say that it is made of."""
        name = wildcards.experiment
        specifications = []
        for spec in self.study.chains(name):
            made_of: dict[str, Any] = {"version": self.version_of(wildcards)}
            if name in self.lineages:
                evaluations = self.evaluations(name, spec.point, spec.regime_name)
                made_of = {"evaluations": identity.identity(evaluations)}
            specifications.append({**spec.as_dict(), **made_of})
        return specifications

    def evaluations(self, experiment: str, point: str, regime: str) -> dict[str, str]:
        """Return the identities that the evaluations of a chain must have, by record."""
        branches = self.branches[experiment]
        chains = [branches.branch(point, regime, s) for s in branches.experiment.seed_list]
        return self.lineages[experiment].collect(chains, branches.experiment.evaluated)

    def layout_of(self, wildcards: Any) -> dict[str, Any]:
        """Return the family, the axes and the other coordinates of an experiment's dataset."""
        return self.study.layout(wildcards.experiment)

    def resolved_study_of(self, wildcards: Any) -> Uncompared:
        """Return an experiment and its regimes with all defaults, as stored in its dataset."""
        return Uncompared(studies.resolved(self.study, wildcards.experiment))

    def study_of(self, wildcards: Any) -> dict[str, Any]:
        """Return the study reduced to one experiment, as plain values."""
        return studies.of_results(self.study, [wildcards.experiment])

    def study_of_figures(self, wildcards: Any) -> dict[str, Any]:
        """Return what the figures of an experiment depend on: `study_of`, and what they mark."""
        marked = [
            value
            for value in studies.plain(self.study).get("published", [])
            if value["experiment"] == wildcards.experiment and value["statistic"] in AVERAGES
        ]
        return self.study_of(wildcards) | ({"published": marked} if marked else {})

    @property
    def study_of_results(self) -> dict[str, Any]:
        """What the results of the whole study depend on, as plain values."""
        return studies.of_results(self.study, list(self.study.experiments))

    @property
    def study_of_published(self) -> dict[str, Any]:
        """What a comparison with published values depends on, as plain values."""
        own = studies.plain(self.study).get("published")
        return self.study_of_results | ({"published": own} if own else {})

    @property
    def whole_study(self) -> dict[str, Any]:
        """The study as plain values."""
        return studies.plain(self.study)

    def family_of(self, wildcards: Any) -> str:
        """Return the name of an experiment's family."""
        return self.study.experiments[wildcards.experiment].family

    def headline_of(self, wildcards: Any) -> Uncompared:
        """Return which figure shows an experiment on the first page of the report, and what to see.

        An experiment of which all regimes are mixtures is shown by its heat map. ``remarks`` are
        those of the family on the parameters of its chains. ``place`` is that of the experiment
        in the study.
        """
        name = wildcards.experiment
        family = self.family(wildcards)
        chains = list(self.study.chains(name))
        unmixed = mixtures.unmixed(mixtures.grids(chains), self.study.named_regimes_of(name))
        headline = family.headline if unmixed else family.headline_of_mixtures
        figure = next(each.name for each in family.figures if each.metric == headline.metric)
        return Uncompared(
            {
                "figure": figure if unmixed else f"{figure}-heat-map",
                "meaning": headline.meaning,
                "remarks": _remarks(family, chains),
                "place": list(self.study.experiments).index(name),
            }
        )

    def family(self, wildcards: Any) -> Family[Parameters]:
        """Return an experiment's family."""
        return families.load(self.family_of(wildcards))

    def environment(self, kind: str) -> str:
        """Return the conda environment of ``neural`` or ``other`` jobs."""
        found = self._environments[kind]
        return str(self._project / found) if found.endswith((".yaml", ".yml")) else found

    def environment_of(self, wildcards: Any) -> str:
        """Return the conda environment of a step."""
        return self.environment("neural" if self.family(wildcards).wants_gpu else "other")

    def gpus_of(self, wildcards: Any) -> int:
        """Return the number of GPUs that a step asks for if the profile does not say another."""
        return int(self.family(wildcards).wants_gpu)

    @property
    def gpus(self) -> int | Callable[[Any], int]:
        """That number if it is the same for all steps, so that no job need ask; else `gpus_of`."""
        named = {branches.experiment.family for branches in self.branches.values()}
        wanted = {families.load(name).wants_gpu for name in named}
        return int(wanted.pop()) if len(wanted) == 1 else self.gpus_of


def _remarks(family: Family[Parameters], chains: Iterable[ChainSpec]) -> list[str]:
    """Return what the family has to say on the parameters of the chains, each remark once."""
    found = (family.remark(family.parameters(**spec.parameters)) for spec in chains)
    return [remark for remark in dict.fromkeys(found) if remark]
