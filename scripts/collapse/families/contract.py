"""The contract that all families fulfil: what the workflow may ask of a family, as typed values.

A family is a frozen `Family`, the value ``FAMILY`` of its module. It runs in one of two ways, or in
both. In closed form, a simulator (`collapse.families.simulator`) runs the chains of all seeds at
once. By steps, each step of each iteration is a job with files; the family's `Steps`
(`collapse.families.step_jobs`) hold one function for each step, in a module of their own because
they may import heavy libraries. The tests in `tests/contract` check what every family guarantees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic

from collapse.families.declarations import (
    STAGES,
    Distribution,
    Expectation,
    Figure,
    Headline,
    Metric,
    Parameters,
    Published,
    Score,
    extra_of,
)
from collapse.families.simulator import Simulator
from collapse.families.step_jobs import P
from collapse.families.work import Workload
from collapse.regimes import Regime
from collapse.seeding import Streams


@dataclass(frozen=True)
class ClosedForm(Generic[P]):
    """How a family runs the chains of all seeds at once.

    Attributes
    ----------
    simulator : callable
        Takes the parameters, the number n of samples per iteration and the random streams of
        the seeds; returns the `Simulator` of these seeds.
    seconds : callable
        Takes the parameters, the sizes of the training sets, the number of evaluated
        iterations, and whether the regime trains on whole pools; estimates the core-seconds
        that one seed of the chain takes, for the plan of a study.
    version : int
        Has to be raised when the family's numbers change, so that its chains run again.
    """

    simulator: Callable[[P, int, Streams], Simulator[Any, Any]]
    seconds: Callable[[P, Sequence[int], int, bool], float]
    version: int = 1


def _nothing(parameters: Parameters) -> list[str]:
    return []


@dataclass(frozen=True, kw_only=True)
class Iterative(Generic[P]):
    """How a family runs by steps, as far as the workflow must know it without importing `Steps`.

    Attributes
    ----------
    module : str
        Name of the module whose ``STEPS`` are the family's `Steps`.
    wants_gpu : bool
        Whether the steps train, generate and evaluate ask for a GPU.
    starts_from_models : bool
        Whether a training may start from the weights of another model of the family
        (`TrainJob.previous`), and not only from its own beginning.
    versions : mapping of str to int
        Version of each step (base, prepare, assemble, train, generate, evaluate), which has to be
        raised when the step's numbers change; a step that is not named has version 1.
    has_dataset : bool
        Whether the step prepare writes the real data as files.
    base : callable
        Returns the parameters that the step base pretrains a model with, from which trainings of
        any experiment start; None if these parameters need no such model.
    writes_text : bool
        Whether shards have a column ``text`` to be shown in the report.
    pictures : str or None
        Name of a module that does not import torch and whose function ``draw`` draws pictures
        of the files that `Steps.portray` wrote; None for a family without pictures.
    evaluated_samples : callable
        Returns the largest number of samples that an evaluation reads.
    source_files : callable
        Returns the local files and folders that the real data and pretrained models are in.
    hub_datasets, hub_models : callable
        Return the names of data sets and models that are read from the Hugging Face Hub.
    may_use_vllm : callable
        Tells whether vLLM may generate the samples.
    workload : callable
        Takes the parameters; returns what the steps have to do, for the plan of a study.
    problems : callable
        Yields the name of each parameter with which the family does not run by steps, and what was
        expected; those of `Family.problems` hold besides.
    training_memory : callable
        Takes the parameters and a number of GPUs; estimates the bytes of memory that a
        training needs on each GPU. None means that no estimate is known.
    """

    module: str
    wants_gpu: bool = False
    starts_from_models: bool = False
    versions: Mapping[str, int] = field(default_factory=dict)
    has_dataset: bool = False
    base: Callable[[P], Mapping[str, Any] | None] = lambda parameters: None
    writes_text: bool = False
    pictures: str | None = None
    evaluated_samples: Callable[[P], int] = lambda parameters: 1
    source_files: Callable[[P], list[str]] = _nothing
    hub_datasets: Callable[[P], list[str]] = _nothing
    hub_models: Callable[[P], list[str]] = _nothing
    may_use_vllm: Callable[[P], bool] = lambda parameters: False
    workload: Callable[[P], Workload[P]] = Workload
    problems: Callable[[P], Iterator[tuple[str, str]]] = lambda parameters: iter(())
    training_memory: Callable[[P, int], float | None] = lambda parameters, gpus: None

    def sources(self, parameters: P) -> list[str]:
        """Return what the steps may read from outside: paths of local files and folders.

        Among them are the names of data sets and models of the Hub, since the Hub's libraries
        read a folder of that name in the working directory instead, if there is one.
        """
        on_hub = [*self.hub_datasets(parameters), *self.hub_models(parameters)]
        return [*self.source_files(parameters), *on_hub]

    def version(self, step: str) -> int:
        """Return the version of a step."""
        return self.versions.get(step, 1)


@dataclass(frozen=True, kw_only=True)
class Family(Generic[P]):
    """A family of models, and all that the workflow may ask of it.

    Attributes
    ----------
    name : str
        The name that a study gives as ``family``.
    parameters : type of Parameters
        A pydantic model of the keys that a study may put into ``grid`` and ``settings``.
    metrics : mapping of str to Metric
        The variables of the results, by name.
    headline : Headline
        The metric by which a chain is summarised.
    scores : mapping of str to Score
        The scores of single samples by which regimes may select or weigh them, by name.
    minimum_samples : int
        The smallest training set that can be fitted.
    maximum_samples : callable
        Takes the parameters; returns the largest number n of samples, which is that of the real
        data, or None if there is no such limit.
    figures : sequence of Figure
        The figures that are drawn of each experiment.
    distributions : sequence of Distribution
        The figures of distributions over seeds that are drawn of each experiment.
    mixture_headline : Headline or None
        The metric by which mixtures of real and synthetic samples are summarised; None means
        the headline.
    published : sequence of Published
        Published values to compare results with.
    expectations : callable
        Takes the parameters, the regime, the number of samples n and the number of iterations;
        returns what theory predicts, for those metrics of a chain that it covers.
    remark : callable
        Returns whole sentences on what results under these parameters show besides the loop, for
        the captions of figures; empty if there is nothing to say.
    problems : callable
        Yields the name of each parameter that contradicts another one, and what was expected.
    unfit : callable
        Takes the parameters and the regime; returns what of the regime these parameters can't do,
        and empty text if they can do all of it.
    closed_form : ClosedForm or None
        How the chains of all seeds run at once; None if they cannot.
    iterative : Iterative or None
        How the steps of an iteration run as jobs with files; None if they cannot.
    """

    name: str
    parameters: type[P]
    metrics: Mapping[str, Metric]
    headline: Headline
    scores: Mapping[str, Score] = field(default_factory=dict)
    minimum_samples: int = 1
    maximum_samples: Callable[[P], int | None] = lambda parameters: None
    figures: Sequence[Figure] = ()
    distributions: Sequence[Distribution] = ()
    mixture_headline: Headline | None = None
    published: Sequence[Published] = ()
    expectations: Callable[[P, Regime, int, int], Mapping[str, Expectation]] = (
        lambda parameters, regime, samples, iterations: {}
    )
    remark: Callable[[P], str] = lambda parameters: ""
    problems: Callable[[P], Iterator[tuple[str, str]]] = lambda parameters: iter(())
    unfit: Callable[[P, Regime], str] = lambda parameters, regime: ""
    closed_form: ClosedForm[P] | None = None
    iterative: Iterative[P] | None = None

    @property
    def headline_of_mixtures(self) -> Headline:
        """The metric by which mixtures of real and synthetic samples are summarised."""
        return self.mixture_headline or self.headline

    @property
    def by_steps(self) -> Iterative[P]:
        """How the family runs by steps; raises TypeError if it does not."""
        if self.iterative is None:
            raise TypeError(f"the family {self.name} does not run by steps")
        return self.iterative

    @property
    def wants_gpu(self) -> bool:
        """Whether the family's steps ask for a GPU."""
        return self.iterative is not None and self.iterative.wants_gpu

    def stage_of(self, parameter: str) -> int:
        """Return the index of the first of `STAGES` to which a parameter or ``samples`` matters."""
        described = self.parameters.model_fields.get(parameter)
        return STAGES.index(str(extra_of(described).get("stage", "training")))
