"""Logistic regression on labels of the previous model, as in Dey & Donoho (arXiv 2410.22812).

Labels 0 and 1 are redrawn from the fitted probabilities. The features are Gaussian, or those of a
data set, which are the same in every iteration.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from collapse.families.contract import ClosedForm, Family
from collapse.families.declarations import (
    Expectation,
    Figure,
    Headline,
    Metric,
    Published,
    Score,
)
from collapse.families.generalised_linear import datasets, expected, simulator
from collapse.families.generalised_linear.distributions import Bernoulli, probability
from collapse.families.generalised_linear.maximum_likelihood import Fit
from collapse.families.simulator import Samples
from collapse.regimes import Regime
from collapse.seeding import Streams

Array = NDArray[np.float64]

#: Probabilities of labels are at least this in the log-loss, as in scikit-learn's.
LEAST = float(np.finfo(np.float64).eps)

#: Log-losses of Dey & Donoho's logs, by regime and iteration. That of the first fit is of an
#: optimiser that was stopped early: the maximum of the likelihood has 0.43048275.
LOGGED: tuple[tuple[str | None, int, float], ...] = (
    (None, 1, 0.42845982),
    ("replace", 50, 8.0997),
    ("accumulate", 50, 0.4558),
)


class Parameters(simulator.Parameters):
    """Parameters of the logistic_regression family."""

    dataset: Literal["gaussian", "diabetes", "breast_cancer"] = Field(
        default="gaussian",
        description="Features and labels: Gaussian ones, or a data set that scikit-learn ships.",
    )


class _Evaluation(simulator.GeneralisedLinear):
    def evaluate(self, model: Fit) -> dict[str, Array]:
        """Return the metrics on test rows, expected over their labels where these are random."""
        predictor, label = self.test_predictors(model), self.test_labels
        one, zero = (np.maximum(probability(each), LEAST) for each in (predictor, -predictor))
        return {
            "test_log_loss": -(label * np.log(one) + (1 - label) * np.log(zero)).mean(axis=1),
            "test_error_rate": np.abs(label - (predictor > 0)).mean(axis=1),
            **self.common_metrics(model),
        }

    def score(self, name: str, samples: Samples) -> Array:
        right = (samples[1] > 0.5) == (self.true_means(samples) > 0.5)
        return right.astype(np.float64)


class Reused(_Evaluation, simulator.ReusedDesign):
    """Chains on features that are the same in every iteration."""


class Fresh(_Evaluation, simulator.FreshDesign):
    """Chains on features that each shard draws."""


def set_up(parameters: Parameters, samples: int, streams: Streams) -> Reused | Fresh:
    """Set up logistic-regression chains of several seeds."""
    if parameters.dataset != "gaussian":
        data = datasets.load(parameters.dataset)
        return Reused(parameters, samples, Bernoulli(), streams, data)
    if parameters.design == "fresh":
        return Fresh(parameters, Bernoulli(), streams)
    return Reused(parameters, samples, Bernoulli(), streams)


def expectations(
    parameters: Parameters, regime: Regime, samples: int, iterations: int
) -> dict[str, Expectation]:
    """Return what is known for many samples of Gaussian features."""
    if parameters.dataset != "gaussian":
        return {}
    known = expected.Known(parameters, Bernoulli(), regime, samples, iterations)
    # Where the deviance is larger, labels begin to be separated.
    return known.expectations("test_log_loss", excess=0.5, least=known.least_log_loss, small=0.1)


def problems(parameters: Parameters) -> Iterator[tuple[str, str]]:
    """Yield the parameters of Gaussian features that are given beside a data set."""
    if parameters.dataset != "gaussian":
        for key in simulator.Parameters.model_fields:
            if key in parameters.model_fields_set:
                yield key, f"no such key beside the data set {parameters.dataset}"


def unfit(parameters: Parameters, regime: Regime) -> str:
    """Say that a data set, which has one label of each row, can't be drawn for each model anew."""
    split = regime.population is not None and regime.population.real == "split"
    if parameters.dataset == "gaussian" or not split:
        return ""
    return f"real data is split, and the data set {parameters.dataset} is the same for all models"


def seconds(parameters: Parameters, trained: Sequence[int], evaluated: int, whole: bool) -> float:
    """Estimate the core-seconds of one seed of a chain (measured on a 2020s server core)."""
    sizes = {"diabetes": (309, 11), "breast_cancer": (398, 31)}
    rows, width = sizes.get(parameters.dataset, (trained[0], parameters.dimension + 1))
    return expected.seconds(parameters, trained, evaluated, rows, width)


FAMILY = Family(
    name="logistic_regression",
    parameters=Parameters,
    metrics={
        "test_log_loss": Metric(
            "expected log-loss on real test data",
            units="nat",
            comment="Probabilities are at least 2.2e-16, the machine epsilon, so that a loss is at "
            "most 36.04.",
        ),
        "test_error_rate": Metric("expected share of real test data that is misclassified"),
        "squared_error_of_weights": Metric(
            "squared error of the weights and the intercept (missing: the truth is not known)"
        ),
        "separated": Metric(
            "1 if a hyperplane separates the labels of the training set, else 0",
            comment="The likelihood of separated labels has no maximum: the fit is one whose "
            "likelihood is within rounding of its supremum.",
        ),
    },
    scores={
        "correct": Score(
            "1 if a label is the likelier one in truth, or that of the data set; else 0.",
            better="higher",
        )
    },
    headline=Headline(
        "test_log_loss",
        worse="higher",
        meaning="A curve that keeps rising ends at labels that a hyperplane separates, of which "
        "all later models are certain.",
    ),
    figures=(
        Figure("test-log-loss", "test_log_loss", rows="dataset"),
        Figure("test-error-rate", "test_error_rate", rows="dataset"),
        Figure("separated", "separated", rows="dataset"),
        Figure(
            "squared-error-of-weights",
            "squared_error_of_weights",
            rows="dataset",
            xscale="log",
            yscale="log",
        ),
    ),
    minimum_samples=1,
    maximum_samples=lambda parameters: datasets.TRAINING_ROWS.get(parameters.dataset),
    unfit=unfit,
    published=[
        Published(
            "test_log_loss",
            regime,
            iteration,
            value,
            {"dataset": "diabetes", "samples": 309},
            "published logs of Dey & Donoho 2024 (arXiv 2410.22812)",
        )
        for regime, iteration, value in LOGGED
    ],
    expectations=expectations,
    problems=problems,
    closed_form=ClosedForm(set_up, seconds),
)
