"""Random streams, each derived from its name.

A stream is named by (experiment, point, regime or ``real``, seed, iteration, purpose)
and by nothing else, so no number depends on the order of execution, on the number of
cores, or on which other seeds, points and regimes are run.

The name without its iteration is hashed (SHA-256) to 128 bits, which with the iteration are
the state of an SFC64 generator, the fastest of numpy's. Moving a generator to another
iteration or seed then takes microseconds. The probability that two streams of 2**40 numbers
overlap is of the order of 2**-150.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Takes the place of the regime in the name of a stream that all regimes share.
REAL = "real"


#: Number of outputs discarded at the beginning of a stream, until its state is mixed.
_ROUNDS = 18

#: Position in the word of the iteration at which the number of an attempt begins.
_ATTEMPT = 32


def key(experiment: str, point: str, regime: str, seed: int, purpose: str) -> NDArray[np.uint64]:
    """Return the hash of the name of a stream without its iteration.

    Returns
    -------
    ndarray of uint64, shape (2,)
        128 bits. A part's length is hashed before it, so that no two names give the same text.
    """
    parts = (experiment, point, regime, str(int(seed)), purpose)
    name = "".join(f"{len(part)}:{part}" for part in parts)
    digest = hashlib.sha256(name.encode()).digest()
    return np.frombuffer(digest[:16], dtype="<u8").astype(np.uint64)


def stream(
    experiment: str, point: str, regime: str, seed: int, iteration: int, purpose: str
) -> np.random.Generator:
    """Return the generator of one named stream, at its beginning."""
    bits = np.random.SFC64(0)
    _begin(bits, bits.state, key(experiment, point, regime, seed, purpose), iteration)
    return np.random.Generator(bits)


def integer(
    experiment: str, point: str, regime: str, seed: int, iteration: int, purpose: str
) -> int:
    """Return 63 bits derived from the name of a stream, as a seed for another library."""
    name = key(experiment, point, regime, seed, purpose).tobytes() + struct.pack("<q", iteration)
    return int.from_bytes(hashlib.sha256(name).digest()[:8], "little") >> 1


def _begin(bits: np.random.SFC64, state: Any, name: NDArray[np.uint64], iteration: int) -> None:
    """Move a generator to the beginning of a stream by setting its three words and its counter.

    ``state`` is one of its state dictionaries, reused because this is done millions of times.
    """
    words = state["state"]["state"]
    words[:2] = name
    words[2] = iteration
    words[3] = 1
    state["has_uint32"] = state["uinteger"] = 0
    bits.state = state
    bits.random_raw(_ROUNDS, False)


class Streams:
    """The streams of one (experiment, point, regime), for several seeds side by side.

    Parameters
    ----------
    experiment, point, regime : str
        First parts of the streams' names.
    seeds : sequence of int
        One stream per seed; arrays drawn here have the seeds on their first axis.
    member : int
        Number of the model in its population, whose streams are its own. Model 0 has those of a
        model without others.
    own_real : bool
        Whether real data from iteration 1 on is the member's own, and not common to all models.
        Iteration 0 names what is the same for all: the truth, a reused design, test data.
    """

    def __init__(
        self,
        experiment: str,
        point: str,
        regime: str,
        seeds: Sequence[int],
        *,
        member: int = 0,
        own_real: bool = False,
    ) -> None:
        self.seeds = tuple(seeds)
        self._name = (experiment, point)
        self._regime = regime
        self.own_real = own_real
        self._member = member
        self._author = member
        self._keys: dict[tuple[str, str], list[NDArray[np.uint64]]] = {}
        self._bits = np.random.SFC64(0)
        self._state = self._bits.state
        self._generator = np.random.Generator(self._bits)
        #: Where streams were left, by name and seed, while they are continued.
        self._left: dict[tuple[str, str, int, int], list[Any]] | None = None

    def __len__(self) -> int:
        return len(self.seeds)

    def each(
        self, purpose: str, iteration: int, *, real: bool = False, attempt: int = 0
    ) -> Iterator[np.random.Generator]:
        """Yield the generator of each seed in turn, at the beginning of its stream.

        One generator object is re-keyed from seed to seed: draw from it before asking for
        the next, and ask until there is none. With ``real`` the stream is the one shared by all
        regimes. Each ``attempt`` at the same iteration has a stream of its own.
        """
        regime = self._of_member(iteration) if real else self._regime + self._of_author()
        keys = self._keys.get((regime, purpose))
        if keys is None:
            keys = [key(*self._name, regime, seed, purpose) for seed in self.seeds]
            self._keys[regime, purpose] = keys
        if self._left is None:
            for name in keys:
                _begin(self._bits, self._state, name, iteration + (attempt << _ATTEMPT))
                yield self._generator
            return
        left = self._left.setdefault((regime, purpose, iteration, attempt), [None] * len(keys))
        for seed, name in enumerate(keys):
            if left[seed] is None:
                _begin(self._bits, self._state, name, iteration + (attempt << _ATTEMPT))
            else:
                self._bits.state = left[seed]
            yield self._generator
            left[seed] = self._bits.state

    def _of_member(self, iteration: int) -> str:
        """Return what takes the place of the regime in names of streams of real data."""
        own = self.own_real and self._member and iteration > 0
        return f"{REAL} of model {self._member}" if own else REAL

    def _of_author(self) -> str:
        """Return what follows the regime in names of streams of what models write."""
        if self._member == self._author == 0:
            return ""
        return f" of model {self._author} for {self._member}"

    @contextmanager
    def of_author(self, author: int) -> Iterator[None]:
        """Let streams be those of what a model of the population writes for this member."""
        self._author = author
        try:
            yield
        finally:
            self._author = self._member

    @contextmanager
    def continued(self) -> Iterator[None]:
        """Let streams go on where they were left, within the block: numbers drawn in parts.

        The first draw of each stream in the block is at its beginning.
        """
        self._left = {}
        try:
            yield
        finally:
            self._left = None

    def normal(
        self,
        purpose: str,
        iteration: int,
        shape: tuple[int, ...],
        *,
        real: bool = False,
        attempt: int = 0,
    ) -> NDArray[np.float64]:
        """Draw standard normals of shape (seeds, ...)."""
        generators = self.each(purpose, iteration, real=real, attempt=attempt)
        return self._filled(shape, generators, np.random.Generator.standard_normal)

    def uniform(
        self,
        purpose: str,
        iteration: int,
        shape: tuple[int, ...],
        *,
        real: bool = False,
        attempt: int = 0,
    ) -> NDArray[np.float64]:
        """Draw uniforms on [0, 1) of shape (seeds, ...)."""
        generators = self.each(purpose, iteration, real=real, attempt=attempt)
        return self._filled(shape, generators, np.random.Generator.random)

    def _filled(
        self,
        shape: tuple[int, ...],
        generators: Iterator[np.random.Generator],
        draw: Callable[..., Any],
    ) -> NDArray[np.float64]:
        out = np.empty((len(self), *shape))
        for row, generator in zip(out, generators, strict=True):
            draw(generator, out=row)
        return out
