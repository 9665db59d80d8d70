"""Chains of populations in closed form: all models of an iteration are fitted, then all write."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from collapse.families.simulator import Simulator
from collapse.loop.exchanging import Exchange
from collapse.loop.writing import Writer
from collapse.seeding import Streams
from collapse.study.chain_spec import ChainSpec


class Member(NamedTuple):
    """A model of a population: what draws, fits and evaluates it, and what it trains on."""

    simulator: Simulator[Any, Any]
    writer: Writer
    streams: Streams


def members(
    spec: ChainSpec,
    seeds: Sequence[int],
    set_up: Callable[[Streams], Simulator[Any, Any]],
    newest: list[Any],
    at_once: int,
) -> list[Member]:
    """Set up the models of a chain: one without a population.

    Parameters
    ----------
    spec : ChainSpec
    seeds : sequence of int
    set_up : callable
        Returns a simulator of the family for random streams.
    newest : list
        The newest model of each member, which exchanges draw from.
    at_once : int
        How many candidates of each seed are in memory at once.
    """
    population, found = spec.regime.population, []
    shares = None if population is None else population.shares
    for number in range(spec.regime.models):
        own_real = population is not None and population.real == "split"
        streams = Streams(
            *(spec.experiment, spec.point, spec.regime_name, seeds),
            member=number,
            own_real=own_real,
        )
        simulator, exchange = set_up(streams), None
        if shares is not None:
            exchange = Exchange(shares[number], number, newest, simulator, streams)
        writer = Writer(spec, simulator, streams, at_once, exchange)
        found.append(Member(simulator, writer, streams))
    return found


def in_step(chains: Sequence[Iterator[Any]], newest: list[Any]) -> Iterator[list[Any]]:
    """Yield the models of all members, iteration by iteration, and note them as the newest.

    No member goes on before all have their model, because each may train on samples of any.
    """
    for models in zip(*chains, strict=True):
        newest[:] = models
        yield list(models)
