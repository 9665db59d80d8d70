"""What the steps of an iteration have to do, counted, so that any machine's time can be estimated.

A family counts; `collapse.loop.plan` knows how fast a machine is. Nothing here is measured except
the seconds of Python and other libraries, which are those of one core of a server of the 2020s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Generic, Literal, TypeVar

from collapse.families.declarations import Parameters

P = TypeVar("P", bound=Parameters)

#: The kinds of work, which reach different shares of a machine's peak: products of matrices in the
#: training of transformers, their sampling token by token, convolutions, and graph networks.
Kind = Literal["transformer", "sampling", "convolution", "graph"]


@dataclass(frozen=True)
class Work:
    """The work of a step.

    Attributes
    ----------
    core : float
        Seconds of Python and other libraries on one core.
    kind : str
        The kind of the network's work.
    calls : float
        Number of torch's operations one after the other; each costs some microseconds, however
        small it is, and small networks cost little else.
    flops : float
        Floating-point operations of the network.
    bytes : float
        Bytes of memory that sampling reads and writes beside, such as weights at every token.
    size : float
        Number of parameters of the network, with which the rate of its operations grows.
    """

    core: float = 0.0
    kind: Kind = "transformer"
    calls: float = 0.0
    flops: float = 0.0
    bytes: float = 0.0
    size: float = 1.0

    def times(self, count: float) -> Work:
        """Return the work of ``count`` repetitions."""
        return Work(
            self.core * count,
            self.kind,
            self.calls * count,
            self.flops * count,
            self.bytes * count,
            self.size,
        )

    def __add__(self, other: Work) -> Work:
        """Return the work of both; the network is that of the first."""
        return Work(
            self.core + other.core,
            self.kind,
            self.calls + other.calls,
            self.flops + other.flops,
            self.bytes + other.bytes,
            self.size,
        )


class Workload(Generic[P]):
    """What the steps of an iteration have to do, for parameters of a family.

    A family overrides what takes longer than a moment.

    Attributes
    ----------
    sample_bytes, model_bytes : float
        Sizes of a stored sample and of a checkpoint.
    libraries : mapping of str to sequence of str
        Of each step, the libraries that take long to import: keys of
        `collapse.loop.plan.device.LIBRARIES`.
    """

    sample_bytes: float = 100.0
    model_bytes: float = 1000.0
    libraries: Mapping[str, Sequence[str]] = MappingProxyType({})

    def __init__(self, parameters: P) -> None:
        self.parameters = parameters

    def base(self) -> Work:
        """Return the work of pretraining the model that experiments start from."""
        return Work()

    def prepare(self, samples: int) -> Work:
        """Return the work of writing the real data; ``samples`` is n."""
        return Work()

    def train(self, samples: int, iteration: int) -> Work:
        """Return the work of training on so many samples at an iteration."""
        return Work()

    def generate(self, samples: int) -> Work:
        """Return the work of generating so many samples."""
        return Work()

    def evaluate(self, samples: int, trained: int) -> Work:
        """Return the work of evaluating a model and so many samples, and what it trained on."""
        return Work()
