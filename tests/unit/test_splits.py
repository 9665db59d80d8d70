"""No item that shares its identifying part with a test item is trained on, of texts or of pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collapse.data.text import corpus, dialogue, pairs
from collapse.data.text.pairs import Pair
from collapse.errors import DataError


class Kind(NamedTuple):
    """A kind of items: how they are split, and what is told of each without the splits."""

    corpus: Callable
    items: st.SearchStrategy
    usable: Callable
    #: What may not be on both sides, and the whole item, without the white space around it.
    shared: Callable
    whole: Callable

    def split(self, train, test=None, *, limit=None, size=None):
        official = None if test is None else lambda: iter(test)
        return self.corpus("a", lambda: iter(train), official, limit=limit, size=size)

    def some(self):
        """Return a strategy of several items, few of which are distinct."""
        return st.lists(self.items, min_size=2, max_size=30)


part = st.sampled_from(["a", "b", "c", "d", " a", "b\n", "", " "])
KINDS = {
    "texts": Kind(
        corpus=corpus.Corpus,
        items=st.text(alphabet="ab \n", max_size=3),
        usable=lambda text: text.strip() != "",
        shared=str.strip,
        whole=str.strip,
    ),
    "pairs": Kind(
        corpus=pairs.Corpus,
        items=st.builds(Pair, part, part),
        usable=lambda pair: dialogue.fault(pair) is None,
        shared=lambda pair: pair.prompt.strip(),
        whole=lambda pair: (pair.prompt.strip(), pair.response.strip()),
    ),
}
of_either_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


@of_either_kind
@given(data=st.data(), size=st.integers(1, 5), random=st.randoms(use_true_random=False))
def test_nothing_is_on_both_sides_and_the_order_does_not_matter(kind, data, size, random):
    items = data.draw(kind.some())
    usable = [item for item in items if kind.usable(item)]
    distinct = {*map(kind.whole, usable)}
    if len(distinct) <= size:
        said = r"no training \w+s|one distinct|test_\w+s: found"
        with pytest.raises(DataError, match=said):
            kind.split(items, size=size)
        return
    # Else it depends on the fingerprints whether anything is left to train on.
    sharing = Counter({kind.whole(item): kind.shared(item) for item in usable}.values())
    if size > len(distinct) - max(sharing.values()):
        return
    found = kind.split(items, size=size)
    train, test = list(found.train()), list(found.test())
    held_out = {*map(kind.whole, test)}
    assert len(test) == len(held_out) == size and held_out <= distinct
    # Repeated training items stay, and no others are lost than those that share with a test item.
    shared = {*map(kind.shared, test)}
    assert train == [item for item in usable if kind.shared(item) not in shared]
    assert (found.counts.train, found.counts.test) == (len(train), size)
    assert found.counts.empty == len(items) - len(usable)
    assert sum(found.counts) == len(items)

    again = kind.split(random.sample(items, len(items)), size=size)
    assert {*map(kind.whole, again.test())} == held_out
    assert Counter(again.train()) == Counter(train)
    assert again.counts == found.counts


@of_either_kind
@given(data=st.data())
def test_nothing_of_an_official_test_set_is_trained_on(kind, data):
    train, test = data.draw(kind.some()), data.draw(kind.some())
    tests = [item for item in test if kind.usable(item)]
    shared = {*map(kind.shared, tests)}
    kept = [item for item in train if kind.usable(item) and kind.shared(item) not in shared]
    if not tests or not kept:
        with pytest.raises(DataError):
            kind.split(train, test)
        return
    found = kind.split(train, test)
    assert list(found.train()) == kept
    assert list(found.test()) == tests
    assert found.counts.train == len(kept)
    assert sum(found.counts) == len(train) + len(test)
    # Not even what a smaller test set leaves out.
    fewer = kind.split(train, test, size=1)
    assert list(fewer.test()) == tests[:1]
    assert list(fewer.train()) == kept


@pytest.mark.parametrize("name", KINDS)
def test_a_limit_keeps_the_first_training_items_and_a_test_set_of_five_per_cent(name):
    kind, many = KINDS[name], [str(number) for number in range(1000)]
    if name == "pairs":
        many = [Pair(text, "a") for text in many]
    found, limited = kind.split(many), kind.split(many, limit=7)
    assert found.counts.test == 50
    assert list(limited.train()) == list(found.train())[:7]
    assert list(limited.test()) == list(found.test())
    assert limited.counts.train == 7
    assert kind.split(many, limit=5000).counts == found.counts
