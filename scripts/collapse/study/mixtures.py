"""Mixtures of real and synthetic samples: which chains of an experiment form a grid of them.

A grid answers P2's question of cardinality against proportion: for a number of real samples,
how much does synthetic data help? A mixture is recognised by the fields of its regime, not by
the regime's name.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from collapse.regimes import NAMED, Regime
from collapse.study.chain_spec import ChainSpec
from collapse.study.names import point_name

if TYPE_CHECKING:
    from collapse.study import Study


class Mixture(NamedTuple):
    """Numbers of real and synthetic samples in the training set of the last iteration."""

    real: int
    synthetic: int

    @property
    def total(self) -> int:
        """Number of all samples."""
        return self.real + self.synthetic


class Grid(NamedTuple):
    """The chains of one point that form a grid of mixtures."""

    point: str
    chains: dict[Mixture, ChainSpec]


def grid(regimes: Mapping[str, Regime], n: int, iterations: int) -> dict[Mixture, str]:
    """Return the names of the regimes that form a grid of mixtures; empty if there is no grid.

    A grid has at least two numbers of real samples that are each combined with the same two
    numbers of synthetic samples. A regime of the papers is a chain, whatever its name, and fills
    a cell only if another regime has its number of synthetic samples. If several regimes give
    the same mixture, the first one counts.

    Parameters
    ----------
    regimes : mapping of str to Regime
        Regimes by name.
    n : int
        Number of samples of the experiment.
    iterations : int
        Number of iterations; the mixture is the training set of the last one.
    """
    found: dict[Mixture, str] = {}
    for name, regime in sorted(regimes.items(), key=lambda each: each[1] in NAMED.values()):
        if iterations > 1 and regime.is_mixture:
            mixture = Mixture(regime.kept_real(n), regime.generated(iterations, n))
            known = {each.synthetic for each in found}
            if regime not in NAMED.values() or mixture.synthetic in known:
                found.setdefault(mixture, name)
    amounts: dict[int, set[int]] = {}
    for mixture in found:
        amounts.setdefault(mixture.real, set()).add(mixture.synthetic)
    pairs = itertools.combinations(amounts.values(), 2)
    return found if any(len(one & other) > 1 for one, other in pairs) else {}


def amounts_beside_none(found: Iterable[Mixture]) -> dict[int, int]:
    """Return how many amounts of synthetic samples are compared with none, by real samples."""
    counts: dict[int, int] = {}
    mixed = set(found)
    for mixture in mixed:
        if mixture.synthetic and Mixture(mixture.real, 0) in mixed:
            counts[mixture.real] = counts.get(mixture.real, 0) + 1
    return counts


def among(study: Study, experiment: str) -> bool:
    """Tell whether an experiment of a study has a grid of mixtures at one of its points."""
    planned = study.experiments[experiment]
    regimes = study.named_regimes_of(experiment)
    return any(grid(regimes, n, planned.iterations) for n in planned.samples)


def grids(chains: Iterable[ChainSpec]) -> list[Grid]:
    """Return the grids of mixtures, one for each point that has one, in the order of the chains."""
    points: dict[str, dict[str, ChainSpec]] = {}
    for spec in chains:
        points.setdefault(spec.point, {})[spec.regime_name] = spec
    found = []
    for point, by_regime in points.items():
        one = next(iter(by_regime.values()))
        regimes = {name: spec.regime for name, spec in by_regime.items()}
        names = grid(regimes, one.samples, one.iterations)
        if names:
            found.append(Grid(point, {mixture: by_regime[names[mixture]] for mixture in names}))
    return found


def distinctions(found: Sequence[Grid]) -> list[str]:
    """Name each grid by the parameters that differ between grids; a single grid has no name."""
    cells = []
    for one in found:
        spec = next(iter(one.chains.values()))
        cells.append({**spec.parameters, "samples": spec.samples})
    varied = [key for key in (cells or [{}])[0] if len({str(cell[key]) for cell in cells}) > 1]
    return [point_name({key: cell[key] for key in varied}) for cell in cells]


def unmixed(found: Iterable[Grid], regimes: Mapping[str, Regime]) -> list[str]:
    """Return the names of the regimes that are chains: those of the papers, or in no grid."""
    mixed = {spec.regime_name for one in found for spec in one.chains.values()}
    return [name for name, each in regimes.items() if name not in mixed or each in NAMED.values()]
