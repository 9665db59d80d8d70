"""The functions with which the rules of closed-form families look up what their jobs run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from collapse.loop import records, rule_functions
from collapse.loop.batches import batches, chain_path, missing_seeds
from collapse.loop.inputs import Inputs
from collapse.loop.uncompared import Uncompared
from collapse.study.chain_spec import ChainSpec

#: The rules by which all chains are forced to run again.
RULES = ("chains", "chain")


@rule_functions.known
class ChainInputs:
    """The functions that rules of closed-form chains call for inputs and parameters.

    Snakemake knows of a job's record alone, so that it deletes no finished chain if a later one
    fails. Which jobs run is decided by what is in the files of their chains: a job is asked for if
    a seed of one of them is not there, or if the user forces it.

    Parameters
    ----------
    inputs : Inputs
        The functions that all rules share.
    finish : bool
        Whether jobs may count as finished: in the process that plans a run.
    force : callable
        Lets Snakemake run the job of an output, although it exists.
    """

    def __init__(
        self,
        inputs: Inputs,
        *,
        finish: bool = False,
        force: Callable[[str], None] = lambda path: None,
    ) -> None:
        self._inputs = inputs
        self._finish = finish
        self._force = force
        self._asked: dict[str, str | None] = {}

    @cached_property
    def _batches(self) -> dict[str, dict[str, list[ChainSpec]]]:
        """The chains of each job of each experiment, by the path of the job's record."""
        study = self._inputs.study
        return {
            name: batches(study, name)
            for name in study.experiments
            if name not in self._inputs.branches
        }

    def of_experiment(self, wildcards: Any) -> list[str]:
        """Return what stands for the chains of an experiment.

        In closed form they are the records of those jobs that are to run; no other chain is asked
        for, as Snakemake does not know what is in its file.
        """
        return self._standing_for(wildcards.experiment)

    def of_study(self, _: Any) -> list[str]:
        """Return what stands for all chains of the study."""
        return [
            path for name in self._inputs.study.experiments for path in self._standing_for(name)
        ]

    def _standing_for(self, experiment: str) -> list[str]:
        # The process of a job waits for the files of chains until they are there.
        if not self._finish or experiment not in self._batches:
            return [chain_path(spec) for spec in self._inputs.study.chains(experiment)]
        asked = map(self._wanted, self._batches[experiment].items())
        return [record for record in asked if record is not None]

    def _wanted(self, batch: tuple[str, list[ChainSpec]]) -> str | None:
        """Return the record of a job if it is to run; the same one throughout a run."""
        path, specs = batch
        if path not in self._asked:
            run = self._inputs.forcing.any_of(*RULES) or any(map(self._missing, specs))
            number = max(records.found(path), default=0) + 1
            self._asked[path] = records.numbered(path, number) if run else None
        return self._asked[path]

    def _missing(self, spec: ChainSpec) -> list[int]:
        seeds = self._inputs.study.experiments[spec.experiment].seed_list
        return missing_seeds(spec, self._inputs.version_of(spec), seeds)

    def before_file(self, wildcards: Any) -> list[str]:
        """Return nothing, but force the job of a file that lacks seeds and is asked for alone.

        Snakemake would take the file for up to date, because it exists.
        """
        spec = self._spec(wildcards)
        if self._finish and self._missing(spec):
            self._force(chain_path(spec))
        return []

    def _spec(self, wildcards: Any) -> ChainSpec:
        return self._inputs.study.chain(wildcards.experiment, wildcards.point, wildcards.regime)

    def batch(self, wildcards: Any) -> list[ChainSpec]:
        """Return the chains that a job runs."""
        return self._batches[wildcards.experiment][_record(wildcards)]

    def chains_of_batch(self, wildcards: Any) -> Uncompared:
        """Return the chains of a job, as `collapse.loop.chain.run_all` takes them."""
        record = _record(wildcards, wildcards.number)
        return self._described(self.batch(wildcards), record)

    def chain_of_file(self, wildcards: Any) -> Uncompared:
        """Return the chain of a file, as `collapse.loop.chain.run_all` takes it."""
        return self._described([self._spec(wildcards)])

    def _described(self, specs: Sequence[ChainSpec], *records_of: str) -> Uncompared:
        return Uncompared(
            [
                {
                    "path": chain_path(spec),
                    "specification": spec.as_dict(),
                    "version": self._inputs.version_of(spec),
                    "seeds": self._inputs.seeds_of(spec),
                    "afresh": self._inputs.forcing.any_of(*RULES, chain_path(spec), *records_of),
                }
                for spec in specs
            ]
        )


def _record(wildcards: Any, number: str = "") -> str:
    folder = f"results/{wildcards.experiment}/{wildcards.point}"
    return f"{folder}/{wildcards.batch}{number}.json"
