"""Distributions over K outcomes (P2, appendix of the code): genetic drift to one outcome.

The fit is the observed frequencies. Repeated sampling from them loses outcomes, and lost outcomes
never return; the chain has collapsed when one outcome is left.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from collapse.families.contract import ClosedForm, Family
from collapse.families.declarations import Figure, Headline, Metric, Score
from collapse.families.discrete.expected import expectations
from collapse.families.discrete.parameters import Parameters
from collapse.families.discrete.simulator import Simulator


def problems(parameters: Parameters) -> Iterator[tuple[str, str]]:
    """Yield what contradicts a list of probabilities, or is no distribution."""
    given = parameters.probabilities
    if given is None:
        return
    if len(given) != parameters.outcomes:
        yield "probabilities", f"as many as outcomes, {parameters.outcomes}"
    elif min(given) < 0 or abs(sum(given) - 1) > 1e-6:
        yield "probabilities", "numbers that are not negative and add up to 1"
    if parameters.zipf_exponent:
        yield "zipf_exponent", "no exponent beside a list of probabilities"


def seconds(parameters: Parameters, trained: Sequence[int], evaluated: int, whole: bool) -> float:
    """Estimate the core-seconds of one seed of a chain (measured on a 2020s server core)."""
    outcomes = parameters.outcomes
    recorded = len(trained) * (2e-5 + 1e-9 * outcomes) + 5e-8 * sum(
        min(n, outcomes) for n in trained
    )
    # Chains under replace are followed to their collapse, for 2n iterations on average.
    return recorded + (2 * trained[0] * 2e-6 if whole and trained[-1] == trained[0] else 0.0)


FAMILY = Family(
    name="discrete",
    parameters=Parameters,
    metrics={
        "entropy": Metric("entropy of the fitted distribution", units="nat"),
        "gini_simpson": Metric("probability that two draws of the fitted distribution differ"),
        "support": Metric("outcomes with a positive fitted probability"),
        "mean_outcome": Metric("mean of the fitted distribution over outcomes 0, 1, ..., K - 1"),
        "iterations_to_collapse": Metric(
            "iterations until one outcome is left (missing: not reached)", per_iteration=False
        ),
    },
    scores={"reward": Score("The reward of outcome k is k.", better="higher")},
    headline=Headline(
        "entropy",
        worse="lower",
        meaning="At 0 a single outcome is left; "
        "one that is lost never comes back from synthetic data.",
    ),
    figures=(
        Figure("entropy", "entropy", rows="outcomes", xscale="log"),
        Figure("support", "support", rows="outcomes", xscale="log", yscale="log"),
        Figure(
            "iterations-to-collapse",
            "iterations_to_collapse",
            rows=None,
            colour="outcomes",
            x="samples",
            xscale="log",
            yscale="log",
        ),
    ),
    minimum_samples=1,
    expectations=expectations,
    problems=problems,
    closed_form=ClosedForm(Simulator, seconds, version=3),
)
