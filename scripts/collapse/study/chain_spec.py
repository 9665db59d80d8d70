"""The specification of a chain, which the study hands to the jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from collapse import families
from collapse.families.declarations import all_of, identifying
from collapse.regimes import Regime


@dataclass(frozen=True)
class ChainSpec:
    """All that the numbers of a chain depend on, besides its seeds and the code's version."""

    experiment: str
    point: str
    regime_name: str
    regime: Regime
    family: str
    parameters: Mapping[str, Any]
    samples: int
    iterations: int
    evaluated: tuple[int, ...]

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> ChainSpec:
        """Rebuild a specification from the plain values of `as_dict`."""
        plain = dict(raw)
        plain["regime"] = Regime(**plain["regime"])
        model = families.load(plain["family"]).parameters
        plain["parameters"] = all_of(model, plain["parameters"])
        plain["evaluated"] = tuple(plain["evaluated"])
        return cls(**plain)

    @property
    def cell(self) -> dict[str, Any]:
        """The coordinates of the chain in the dataset of its experiment."""
        return {"regime": self.regime_name, **self.parameters, "samples": self.samples}

    def as_dict(self) -> dict[str, Any]:
        """Return the specification as plain values, as a job's parameters hold it."""
        plain = dict(self.__dict__)
        plain["regime"] = self.regime.as_dict()
        model = families.load(self.family).parameters
        plain["parameters"] = identifying(model, self.parameters)
        plain["evaluated"] = list(self.evaluated)
        return plain
