"""How fast a machine's cores or a GPU do counted work, and what a process takes to start."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from collapse.families.work import Work

#: Processor seconds of imports on the reference core, each beyond those it builds on, with those
#: of the process's end, and the garbage collected as seldom as in jobs (`collapse.job`).
LIBRARIES = {
    "torch": 1.2,
    "transformers": 2.8,  # the class of a model, with torch's compiler
    "tokenizers": 0.2,
    "sklearn": 1.1,
    "scipy": 0.2,
    "rdkit": 0.2,
    "matplotlib": 0.6,
    "xarray": 0.5,
}
#: Seconds of the reference core in which a process starts and reads the files of a job.
PROCESS = 0.4


@dataclass(frozen=True)
class Rates:
    """The rates of one kind of work.

    Attributes
    ----------
    call : float
        Seconds of an operation of torch, however small it is.
    flops : sequence of pairs
        Numbers of a network's parameters, ascending, and operations a second at these; between
        them the logarithm is interpolated, and beyond them the rate stays the same.
    """

    call: float
    flops: Sequence[tuple[float, float]]

    def at(self, size: float) -> float:
        """Return the operations a second of a network with so many parameters."""
        sizes, rates = np.log(np.array(self.flops)).T
        return float(np.exp(np.interp(np.log(size), sizes, rates)))


@dataclass(frozen=True)
class Device:
    """The speed of a core, or of a GPU with the core that feeds it.

    Attributes
    ----------
    name : str
        What a plan calls it.
    source : str
        Where the figures come from, as a sentence without its full stop.
    core : float
        Seconds of its core for a second of the reference core.
    imports : float
        Seconds of imports for a second of those of the reference core.
    bandwidth : float
        Bytes of memory that it reads and writes in a second.
    rates : mapping of str to Rates
        The rates of each kind of work.
    is_gpu : bool
        Whether it is a GPU, which computes while its core calls the next operations.
    """

    name: str
    source: str
    core: float
    imports: float
    bandwidth: float
    rates: Mapping[str, Rates]
    is_gpu: bool = False

    def seconds(self, work: Work) -> float:
        """Return the seconds that work takes, without starting a process."""
        rates = self.rates[work.kind]
        calls = work.calls * rates.call
        flops, moved = work.flops / rates.at(work.size), work.bytes / self.bandwidth
        network = max(calls, flops, moved) if self.is_gpu else calls + flops + moved
        return self.core * work.core + network

    def start(self, libraries: Iterable[str]) -> float:
        """Return the seconds in which a process starts and imports libraries."""
        return self.core * PROCESS + self.imports * sum(LIBRARIES[name] for name in set(libraries))

    def as_dict(self) -> dict[str, Any]:
        """Return the device as plain values, for a JSON file."""
        return asdict(self)

    @classmethod
    def parse(cls, plain: Mapping[str, Any]) -> Device:
        """Read what `as_dict` returned.

        Raises
        ------
        ValueError
            If a value is missing, of another type or not positive.
        """
        try:
            given = dict(plain)
            given["rates"] = {
                kind: Rates(
                    _positive(one["call"]),
                    sorted((_positive(size), _positive(rate)) for size, rate in one["flops"]),
                )
                for kind, one in plain["rates"].items()
            }
            for name in ("core", "imports", "bandwidth"):
                given[name] = _positive(plain[name])
            found = cls(**given)
            for kind in ("transformer", "sampling", "convolution", "graph"):
                found.rates[kind].at(1.0)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"found no figures of a device ({error!r})") from None
        return found


def _positive(value: Any) -> float:
    if not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ValueError(f"found {value!r}, expected a positive number")
    return float(value)


def read(path: Path, key: str | None = None) -> Device:
    """Read the figures of a device from a JSON file, or from one of its keys.

    Raises ValueError if it holds none, and OSError if it can't be read.
    """
    plain = json.loads(path.read_text(encoding="utf-8"))
    if key is not None and isinstance(plain, dict):
        plain = plain.get(key)
    if not isinstance(plain, dict):
        raise ValueError("found no figures of a device")
    return Device.parse(plain)
