"""Real data of any kind as two streams, for training and for testing, that have nothing in common.

Real test data must never enter a training set, so a training item that shares its identifying
part with a test item is dropped, whatever the source. Items come as streams that can be opened
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

#: Default share of the distinct items that is for testing.
TEST_FRACTION = 0.05
_BATCH = 1000
_FINGERPRINTS = np.dtype([("shared", np.uint64), ("rest", np.uint64)])


class Split(ABC, Generic[Item]):
    """Real items, split into train and test.

    Parameters
    ----------
    source : str
        Name of the source in errors.
    train : Stream
        Opens the training items.
    test : Stream or None
        Opens the official test split. Without one the distinct items of the smallest
        fingerprints are the test set, so that the split depends on the content, not its order.
    limit : int or None
        Largest number of training items; the first ones are used.
    size : int or None
        Number of test items. Those of an official test split are its first, by default all;
        otherwise they are split off, by default 5 % of the distinct items, at least one.

    Attributes
    ----------
    sizes : dict of str to int
        Number of items to ``train`` and to ``test`` on, and of those that are ``withheld`` from
        both since they share with a test item what may not be on both sides.
    faults : Counter
        Number of items that can't be used, by their fault.

    Raises
    ------
    DataError
        If a split is empty, there are fewer test items than asked for, or reading the source,
        which is done once from end to end, fails.
    """

    #: How errors name an item, and the relation of a dropped training item to a test item.
    noun: ClassVar[str]
    relation: ClassVar[str]

    @staticmethod
    @abstractmethod
    def fault(item: Item) -> str | None:
        """Return what is wrong with an item that can't be used, or None."""

    @staticmethod
    @abstractmethod
    def fingerprints(item: Item) -> tuple[int, int]:
        """Return the fingerprints of what may not be on both sides and of the rest of an item."""

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
        """Return the fingerprints of the usable items, and count the others by their fault."""

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
                f"{source}: found one distinct {self.noun}, expected two, to train and to test"
            )
        size = max(1, round(TEST_FRACTION * distinct)) if wanted is None else wanted
        if size >= distinct:
            raise DataError(
                f"{source}: test_{self.noun}s: found {size}, expected less than the {distinct} "
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
    """Return 64 bits of the SHA-256 of a text without the white space around it.

    The probability that any two of 2 million texts share them is 1e-7.
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
        Draws a given number of items.
    name : str
        Name of the items, which are drawn from the streams ``train <name>`` and ``test <name>``.
    train_size, test_size : int
        Numbers of items.
    shared : callable
        Returns the part of an item that may not be on both sides: a training item that shares
        it with a test item is drawn anew.
    generator_of : callable
        Returns a new generator at the beginning of the stream of a purpose.
    """

    def drawn(purpose: str) -> Iterator[Item]:
        # Items are drawn in whole batches, so that a smaller corpus begins a larger one.
        generator = generator_of(f"{purpose} {name}")
        while True:
            yield from draw(_BATCH, generator)

    def test() -> Iterator[Item]:
        return islice(drawn("test"), test_size)

    def train() -> Iterator[Item]:
        known = set(map(shared, test()))
        return islice((item for item in drawn("train") if shared(item) not in known), train_size)

    return train, test
