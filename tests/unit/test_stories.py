"""The grammar of stories: its distribution is the one stated, and its parser is exact."""

import itertools
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from collapse.data.text import grammar, stories
from collapse.data.text.stories import Story

COUNT = 20_000


@pytest.fixture(scope="module")
def texts():
    return stories.draw(COUNT, np.random.default_rng(0))


@pytest.fixture(scope="module")
def parsed(texts):
    return [stories.parse(text) for text in texts]


@st.composite
def any_story(draw):
    """Choices uniform over the values of each slot, so that tails are tried too."""
    mode = draw(st.integers(0, stories.MODES - 1))
    names = stories._slots_of(mode)
    return Story(mode, {name: draw(st.sampled_from([*stories._SLOTS[name]])) for name in names})


def templates():
    """Yield (mode, template) for each plot with each opening and each ending."""
    for mode, (ending, plot) in enumerate(stories._PLOTS.values()):
        for opening in stories._SENTENCES["opening"]:
            for closing in stories._SENTENCES[ending]:
                yield mode, f"{opening} {plot} {closing}"


def possible(word):
    """Return the words that a word of a template, perhaps a slot, may become."""
    values = {name: list(slot) for name, slot in stories._SLOTS.items()}
    values["food"] = list(stories._FOOD.values())
    values |= {name: [p[name] for p in stories._PRONOUNS] for name in stories._PRONOUNS[0]}
    names = re.findall(r"{(\w+)}", word)
    assert len(names) <= 1
    if not names:
        return frozenset([word])
    assert all(re.fullmatch(r"\w+", value) for value in values[names[0]])
    return frozenset(word.replace(f"{{{names[0]}}}", value) for value in values[names[0]])


def test_no_two_stories_share_a_text():
    """Slots are single words, so a template's choices can be read off at fixed positions.

    Any two templates differ in length, or in a place where they have no word in common.
    """
    of_length = {}
    for _, template in templates():
        words = [possible(word) for word in template.split(" ")]
        of_length.setdefault(len(words), []).append(words)
    assert sum(map(len, of_length.values())) == stories.MODES * 4 * 5
    for group in of_length.values():
        for one, other in itertools.combinations(group, 2):
            assert any(a.isdisjoint(b) for a, b in zip(one, other, strict=True))


def test_openings_and_endings_use_no_slot_but_those_of_their_plot():
    """The entropy supposes this, and that all templates of a plot show each of its choices."""
    derived = {*stories._PRONOUNS[0], "food"}
    for mode, template in templates():
        words = {name for name in stories._slots_of(mode) if name in stories._WORDS}
        fields = set(re.findall(r"{(\w+)}", template))
        assert fields - derived == words
        assert "food" not in fields or "animal" in words


def test_entropy_and_probabilities_are_those_of_the_enumeration(monkeypatch):
    """All stories of the grammar are enumerated, with only two values for each slot."""
    two = {
        name: grammar.zipf(0.5 + index / 10, [*slot][-2:])
        for index, (name, slot) in enumerate(stories._SLOTS.items())
    }
    monkeypatch.setattr(stories, "_SLOTS", two)
    found = {}
    for mode in range(stories.MODES):
        names = stories._slots_of(mode)
        for values in itertools.product(*(two[name] for name in names)):
            text = Story(mode, dict(zip(names, values, strict=True))).text()
            found[text] = stories.log_probability(text)
    assert len(found) == sum(2 ** len(stories._slots_of(mode)) for mode in range(stories.MODES))
    logarithms = np.array(list(found.values()))
    assert np.exp(logarithms).sum() == pytest.approx(1, rel=1e-12)
    assert -np.exp(logarithms) @ logarithms == pytest.approx(stories.entropy(), rel=1e-12)


def test_mean_surprise_of_draws_is_the_entropy(texts):
    surprise = np.array([-stories.log_probability(text) for text in texts])
    error = surprise.std(ddof=1) / np.sqrt(COUNT)
    assert abs(surprise.mean() - stories.entropy()) < 5 * error


def test_duplicates_are_as_rare_as_probabilities_say(texts):
    """The share of equal draws among all pairs is the sum of squared probabilities."""
    squares = {name: sum(p * p for p in slot.values()) for name, slot in stories._SLOTS.items()}
    same = sum(
        p * p * math.prod(squares[name] for name in stories._slots_of(mode))
        for mode, p in enumerate(stories.mode_probabilities())
    )
    counts = np.unique(texts, return_counts=True)[1]
    pairs = (counts * (counts - 1) / 2).sum()
    expected = same * COUNT * (COUNT - 1) / 2
    assert abs(pairs - expected) < 5 * np.sqrt(expected) + 1


def test_frequencies_of_plots_and_of_their_slots(parsed):
    modes = np.bincount([story.mode for story in parsed], minlength=stories.MODES)
    assert chisquare(modes, COUNT * stories.mode_probabilities()).pvalue > 1e-4
    for name, slot in stories._SLOTS.items():
        chosen = [story.choices[name] for story in parsed if name in story.choices]
        counts = [chosen.count(value) for value in slot]
        expected = len(chosen) * np.array([*slot.values()])
        assert chisquare(counts, expected).pvalue > 1e-4, name


@given(any_story())
def test_every_story_parses_to_its_choices(story):
    assert stories.parse(story.text()) == story
    assert stories.log_probability(story.text()) == pytest.approx(
        math.log(stories.mode_probabilities()[story.mode])
        + sum(math.log(stories._SLOTS[name][value]) for name, value in story.choices.items())
    )


@given(any_story(), st.data())
def test_text_with_a_word_dropped_or_repeated_is_no_story(story, data):
    words = story.text().split(" ")
    place = data.draw(st.integers(0, len(words) - 1))
    assert stories.parse(" ".join(words[:place] + words[place + 1 :])) is None
    assert stories.parse(" ".join(words[: place + 1] + words[place:])) is None
    assert stories.parse(" ".join(words[:place])) is None


@given(any_story(), st.data())
def test_what_returns_must_agree(story, data):
    """A name, a toy, an animal, its food or a pronoun is changed in one place only."""
    text = story.text()
    swaps = [story.choices[name] for name in ("hero", "animal", "thing") if name in story.choices]
    swaps = [word for word in swaps if len(re.findall(rf"\b{word}\b", text)) > 1]
    swaps += re.findall(rf"\b(?:{'|'.join(stories._FOOD.values())}|[Ss]?[Hh]e|girl|boy)\b", text)
    word = data.draw(st.sampled_from(swaps))
    spans = [match.span() for match in re.finditer(rf"\b{word}\b", text)]
    start, stop = data.draw(st.sampled_from(spans))
    kin = [[*stories._SLOTS[name]] for name in ("hero", "animal", "thing")]
    kin += [[*stories._FOOD.values()], ["she", "he"], ["She", "He"], ["girl", "boy"]]
    others = next(words for words in kin if word in words)
    other = data.draw(st.sampled_from([value for value in others if value != word]))
    swapped = text[:start] + other + text[stop:]
    assert stories.parse(swapped) is None
    assert stories.log_probability(swapped) == -math.inf


@given(any_story(), any_story())
def test_two_stories_are_not_one(one, other):
    assert stories.parse(f"{one.text()} {other.text()}") is None
    assert stories.parse(one.text() + other.text()) is None


@pytest.mark.parametrize(
    "change",
    [str.lower, lambda t: t + " ", lambda t: t + "\n", lambda t: " " + t, lambda t: t[:-1]],
)
def test_other_texts_are_no_stories(change, texts):
    assert stories.parse(change(texts[0])) is None
    for text in ("", "Once upon a time", "{hero} was a {trait} {child}."):
        assert stories.parse(text) is None
        assert stories.log_probability(text) == -math.inf


def test_draws_are_those_of_the_generator_and_parse_to_themselves(texts, parsed):
    assert [story.text() for story in parsed] == texts
    assert all(type(text) is str for text in texts)
    assert stories.draw(1000, np.random.default_rng(0)) == texts[:1000]
    assert stories.draw(1000, np.random.default_rng(1)) != texts[:1000]
    assert stories.draw(0, np.random.default_rng(0)) == []


def test_size_of_the_language(texts):
    """The language is too large to be memorised, and yet small, as docstrings say."""
    probabilities = stories.mode_probabilities()
    assert stories.MODES == len(probabilities) == len(stories.MODE_NAMES) == 24
    assert probabilities.sum() == pytest.approx(1)
    assert 0.003 < probabilities.min() < 0.005
    slots = map(stories._slots_of, range(stories.MODES))
    assert sum(math.prod(len(stories._SLOTS[name]) for name in names) for names in slots) > 1e9
    assert 14 < stories.entropy() < 20
    words = [re.findall(r"\w+", text.lower()) for text in texts]
    assert min(map(len, words)) >= 25 and max(map(len, words)) <= 55
    assert 200 < len(set(itertools.chain(*words))) < 300
