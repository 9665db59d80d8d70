"""Real data of any kind as two streams, to train on and to test on, with nothing on both sides.

Real test data must never enter a training set, so a training item that shares with a test item
what identifies it is dropped, whatever the source. Items come as streams that can be read
again, never as a whole corpus in memory: 16 bytes an item are kept while they are counted.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from itertools import islice
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from collapse.errors import DataError

Item = TypeVar("Item")
#: Opens a stream of items at its beginning.
Stream = Callable[[], Iterator[Item]]
Generators = Callable[[str], np.random.Generator]

#: Of the distinct items, this part is for testing where nothing else is said.
TEST_FRACTION = 0.05
_BATCH = 1000
_FINGERPRINTS = np.dtype([("shared", np.uint64), ("rest", np.uint64)])


class Split(ABC, Generic[Item]):
    """Real items, split into train and test.

    Parameters
    ----------
    source : str
        What errors call it.
    train : Stream
    test : Stream or None
        The official test split. Without one the distinct items of the smallest fingerprints
        are the test set: the split follows from the content alone, not from its order.
    limit : int or None
        At most so many training items, the first.
    size : int or None
        So many test items: the first of an official test split, by default all; else the
        number to split off, by default 5 % of the distinct items, at least one.

    Attributes
    ----------
    sizes : dict of str to int
        Items to ``train`` and to ``test``; and ``withheld``, those that are in neither since
        they share with a test item what may not be on both sides.
    faults : Counter
        Items that can't be used, by what is wrong with them.

    Raises
    ------
    DataError
        If a split is empty, there are fewer test items than asked for, or the source has any
        mistake: it is read once from end to end.
    """

    #: What errors call an item, and how a training item may be related to a test item.
    noun: ClassVar[str]
    relation: ClassVar[str]

    @staticmethod
    @abstractmethod
    def fault(item: Item) -> str | None:
        """Return what is wrong with an item that can't be used, or None."""

    @staticmethod
    @abstractmethod
    def fingerprints(item: Item) -> tuple[int, int]:
        """Return the fingerprint of what may not be on both sides, and that of the rest."""

    def __init__(
        self,
        source: str,
        train: Stream[Item],
        test: Stream[Item] | None,
        *,
        limit: int | None,
        size: int | None,
    ) -> None:
        self._train, self._test = train, test
        self._limit = limit
        self.faults: Counter[str] = Counter()
        found = self._survey(train)
        if len(found) == 0:
            unusable = ", ".join(f"{count} {fault} ones" for fault, count in self.faults.items())
            raise DataError(f"{source}: no training {self.noun}s ({unusable or '0 empty ones'})")
        if test is None:
            distinct = np.unique(found)
            self._test_size = self._size(source, len(distinct), size)
            held_out = distinct[: self._test_size]
            self._test_items = set(map(tuple, held_out.tolist()))
        else:
            held_out = self._survey(test)
            self._test_size = self._official_size(source, len(held_out), size)
        self._held_out = set(held_out["shared"].tolist())
        shared = int(np.isin(found["shared"], held_out["shared"]).sum())
        available = len(found) - shared
        if available == 0:
            raise DataError(
                f"{source}: every training {self.noun} {self.relation} a test {self.noun}"
            )
        self.sizes = {
            "train": available if limit is None else min(limit, available),
            "test": self._test_size,
            "withheld": shared - (self._test_size if test is None else 0),
        }

    def train(self) -> Iterator[Item]:
        """Yield the training items."""
        kept = (
            item
            for item in self._usable(self._train)
            if self.fingerprints(item)[0] not in self._held_out
        )
        return islice(kept, self._limit)

    def test(self) -> Iterator[Item]:
        """Yield the test items."""
        if self._test is not None:
            yield from islice(self._usable(self._test), self._test_size)
            return
        remaining = set(self._test_items)
        for item in self._usable(self._train):
            if (found := self.fingerprints(item)) in remaining:
                remaining.remove(found)
                yield item

    def _usable(self, stream: Stream[Item]) -> Iterator[Item]:
        return (item for item in stream() if self.fault(item) is None)

    def _survey(self, stream: Stream[Item]) -> NDArray[Any]:
        """Return the fingerprints of the items that can be used, and count the others."""

        def usable() -> Iterator[tuple[int, int]]:
            for item in stream():
                fault = self.fault(item)
                if fault is None:
                    yield self.fingerprints(item)
                else:
                    self.faults[fault] += 1

        return np.fromiter(usable(), dtype=_FINGERPRINTS)

    def _size(self, source: str, distinct: int, wanted: int | None) -> int:
        """Return the size of the test set to split off."""
        if distinct < 2:
            raise DataError(
                f"{source}: one distinct {self.noun}; expected at least two, to train and to test"
            )
        size = max(1, round(TEST_FRACTION * distinct)) if wanted is None else wanted
        if size >= distinct:
            raise DataError(
                f"{source}: test_{self.noun}s is {size}; expected less than the {distinct} "
                f"distinct {self.noun}s that there are"
            )
        return size

    def _official_size(self, source: str, available: int, wanted: int | None) -> int:
        """Return the size of the test set within the official one."""
        size = available if wanted is None else wanted
        if size > available or available == 0:
            asked = "" if wanted is None else f", test_{self.noun}s is {wanted}"
            raise DataError(f"{source}: {available} {self.noun}s in the test split{asked}")
        return size


def fingerprint(text: str) -> int:
    """Return 64 bits of SHA-256, white space around the text aside.

    Two of 2 million texts share them with odds of 1e-7.
    """
    return int.from_bytes(hashlib.sha256(text.strip().encode()).digest()[:8])


def simulated(
    draw: Callable[[int, np.random.Generator], list[Item]],
    name: str,
    *,
    train_size: int,
    test_size: int,
    shared: Callable[[Item], Hashable],
    generator_of: Generators,
) -> tuple[Stream[Item], Stream[Item]]:
    """Open train and test splits of items that are drawn at random.

    Parameters
    ----------
    draw : callable
        Draws so many items.
    name : str
        Of the items: they are drawn from the streams ``train <name>`` and ``test <name>``.
    train_size, test_size : int
    shared : callable
        What of an item may not be on both sides: a training item that has it from a test item
        is drawn anew.
    generator_of : callable
        Gives a new generator at the beginning of the stream of a purpose.
    """

    def drawn(purpose: str) -> Iterator[Item]:
        # Always whole batches: a smaller corpus is the beginning of a larger one.
        generator = generator_of(f"{purpose} {name}")
        while True:
            yield from draw(_BATCH, generator)

    def test() -> Iterator[Item]:
        return islice(drawn("test"), test_size)

    def train() -> Iterator[Item]:
        known = set(map(shared, test()))
        return islice((item for item in drawn("train") if shared(item) not in known), train_size)

    return train, test
