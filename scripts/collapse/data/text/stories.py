"""Short stories for children, in the manner of TinyStories, from a distribution that is known.

A story has an opening, a plot (its mode) and an ending, with slots for words. All choices are
independent given the plot. What follows from a choice (a hero's pronouns, an animal's food) or
repeats it (the toy) must agree with it, which a model has to remember. Slots take single words,
so that no two stories share a text. Draws, exact probabilities and the parser use one table.
Rare choices are what collapse loses first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from collapse.data.text import grammar

# The exponent of each slot's Zipf law, and its values from the most to the least probable.
_WORDS = {
    "hero": (1.4, "Lily Tom Anna Ben Mia Sam Lucy Max Ella Jack Rosie Leo Daisy Finn Ruby Theo"),
    "trait": (0.5, "kind brave shy clever quiet gentle funny proud"),
    "weather": (0.8, "sunny windy rainy cold warm snowy"),
    "place": (0.7, "park garden forest field village meadow valley barn market castle"),
    "elder": (0.8, "mum dad grandma grandpa sister brother"),
    "animal": (1.0, "dog cat rabbit bird horse mouse bear monkey duck goat"),
    "size": (0.5, "little big young fat grumpy"),
    "colour": (1.0, "red blue green yellow pink silver golden"),
    "thing": (0.7, "ball kite hat doll boat book bell cup drum scarf robot lamp"),
    "number": (0.3, "two three four five six seven"),
    "skill": (0.6, "swim dance sing climb fly"),
}  # fmt: skip
_FOODS = "bones milk carrots seeds hay cheese honey bananas bread grass"
_PRONOUNS = (  # heroes are girls and boys in turn
    {"child": "girl", "she": "she", "She": "She", "her": "her", "Her": "Her", "them": "her"},
    {"child": "boy", "she": "he", "She": "He", "her": "his", "Her": "His", "them": "him"},
)

_SENTENCES = {
    "opening": (
        "Once upon a time there was a {trait} {child} called {hero}.",
        "{hero} was a {trait} {child}.",
        "Long ago there lived a {trait} {child} called {hero}.",
        "This is the story of {hero}, a {trait} little {child}.",
    ),
    "home": (
        "{She} went to bed with a smile.",
        "It was the best day of the year.",
        "{hero} laughed all the way home.",
        "That night {hero} told the story to all {her} friends.",
        "What a day that was!",
    ),
    "friends": (
        "From then on {hero} and the {animal} were friends.",
        "The {animal} said thank you and gave {them} a hug.",
        "{hero} and the {animal} played until it was dark.",
        "The {animal} never forgot how {trait} {hero} was.",
        "Every day {she} came back with more {food}.",
    ),
    "treasure": (
        "{hero} kept the {thing} for ever.",
        "At night {she} put the {thing} beside {her} bed.",
        "How {hero} loved that {colour} {thing}!",
        "{She} danced home with the {thing} on {her} head.",
        "{hero} took the {thing} with {them} every day.",
    ),
    "lesson": (
        "So it was a good day after all.",
        "After that {hero} was happy again.",
        "That is how {hero} learned to be good.",
        "And they all said how {trait} {hero} was.",
        "{She} never forgot that day.",
    ),
}

# The slot of each plot's ending, and its sentences, from the most to the least probable plot.
_PLOTS = {
    "lost toy": ("treasure", "One {weather} day {she} lost {her} {colour} {thing} in the {place}. "
        "{She} looked and looked. At last {her} {elder} found the {thing} under a tree."),
    "hungry animal": ("friends", "One {weather} day {she} saw a {size} {animal} in the {place}. "
        "The {animal} was hungry, so {hero} gave it some {food}. It ate all the {food}."),
    "sharing": ("friends", "{She} had a {colour} {thing}, and a {animal} in the {place} wanted it "
        "too. {hero} did not want to share. But the {animal} was so sad that they took turns."),
    "noise": ("home", "One night {she} heard a noise from the {place}. {She} was afraid and ran to "
        "{her} {elder}. But it was only a {size} {animal} looking for {food}."),
    "birthday": ("treasure", "On {her} birthday {her} {elder} gave {them} a {colour} {thing}. "
        "{hero} took the {thing} to the {place} and showed it to a {animal}."),
    "truth": ("lesson", "{She} broke a {colour} {thing} and hid it in the {place}. But {she} was "
        "so sad that {she} told {her} {elder} the truth. They made the {thing} good again."),
    "wind": ("friends", "One day the wind took {her} {colour} {thing} across the {place}. A {size} "
        "{animal} ran after the {thing} and gave it back to {them}."),
    "cake": ("home", "{She} and {her} {elder} made a {colour} cake with {food} for a {animal} in "
        "the {place}. The {animal} was so happy that it danced {number} times."),
    "practice": ("lesson", "{She} wanted to {skill}. One {weather} day {her} {elder} went to the "
        "{place} with {them}. {hero} tried {number} times, and at last {she} could {skill}."),
    "hide and seek": ("home", "{She} played hide and seek with a {animal} in the {place}. {hero} "
        "counted to {number} and looked all over. The {animal} was asleep under a {colour} boat."),
    "finder": ("lesson", "In the {place} {she} found a {colour} {thing}. {hero} asked {number} "
        "friends about it. A {size} {animal} had lost it and was happy to have the {thing} back."),
    "swap": ("treasure", "In the {place} a {size} {animal} gave {them} some {food} for {her} "
        "{colour} {thing}. But {hero} was so sad that {she} asked for the {thing} back."),
    "flowers": ("home", "One {weather} day {her} {elder} was ill. {hero} went to the {place} and "
        "came back with {number} {colour} flowers. {Her} {elder} was soon well again."),
    "dream": ("home", "{She} fell asleep in the {place} and saw a {colour} {animal} that could "
        "{skill}. When {hero} woke up, {she} told {her} {elder} about the {animal}."),
    "seed": ("home", "{She} put a seed in the {place} and gave it water on every {weather} day. "
        "Soon there were {number} {colour} flowers, and {hero} gave them to {her} {elder}."),
    "rescue": ("friends", "One {weather} day a {size} {animal} fell into the water in the {place}. "
        "{hero} and {her} {elder} pulled {number} times, and out came the {animal}."),
    "borrowing": ("lesson", "{Her} {elder} had a {colour} {thing}. {hero} took the {thing} to the "
        "{place}, and it fell into the water. {She} ran back and said sorry to {her} {elder}."),
    "stars": ("treasure", "One night {she} went to the {place} with {her} {elder} to see the "
        "stars. They counted {number} of them. Then one fell down, and it was a {colour} {thing}."),
    "map": ("home", "A {size} {animal} told {them} about a {colour} {thing} under a tree in the "
        "{place}. {hero} looked for it {number} times, but found only some {food}."),
    "race": ("treasure", "{She} ran a race with a {size} {animal} in the {place}. On the way the "
        "{animal} went to look for {food}. So {hero} won a {colour} {thing}."),
    "snow house": ("friends", "{She} made a house of snow in the {place}, but on a {weather} day "
        "it fell down. A {size} {animal} came to help, and they made it again {number} times."),
    "wishes": ("lesson", "A {animal} in the {place} gave {them} {number} wishes. {hero} wished for "
        "a {colour} {thing}. But the {animal} had no {thing}, so {she} wished for one more."),
    "voyage": ("home", "{She} went away in a {colour} boat. After {number} {weather} days {she} "
        "came to a {place} where every {animal} could {skill}. The king gave {hero} some {food}."),
    "show": ("friends", "{She} and {her} {elder} gave a show in the {place}. A {size} {animal} in "
        "a {colour} hat came to {skill}. {hero} wanted to see it {number} times."),
}  # fmt: skip

#: Number of plots, and their names in the order of their numbers.
MODES = len(_PLOTS)
MODE_NAMES = tuple(_PLOTS)


_SLOTS = {
    name: grammar.zipf(exponent, values.split()) for name, (exponent, values) in _WORDS.items()
}
_SLOTS |= {name: grammar.zipf(1.0, sentences) for name, sentences in _SENTENCES.items()}
_FOOD = dict(zip(_SLOTS["animal"], _FOODS.split(), strict=True))
_PRONOUNS_OF = {name: _PRONOUNS[rank % 2] for rank, name in enumerate(_SLOTS["hero"])}


class Story(NamedTuple):
    """A story as its choices: the number of its plot, and the value of each of its slots."""

    mode: int
    choices: dict[str, str]

    def text(self) -> str:
        """Return the words of the story."""
        ending, plot = _PLOTS[MODE_NAMES[self.mode]]
        template = f"{self.choices['opening']} {plot} {self.choices[ending]}"
        food = _FOOD.get(self.choices.get("animal", ""))
        return template.format(**self.choices, **_PRONOUNS_OF[self.choices["hero"]], food=food)


def mode_probabilities() -> NDArray[np.float64]:
    """Return the probability of each plot: the Zipf-Mandelbrot law (rank + 2)**-2."""
    weights = (np.arange(MODES) + 3.0) ** -2
    return weights / weights.sum()


def draw(count: int, generator: np.random.Generator) -> list[str]:
    """Draw the texts of ``count`` independent stories; those of a smaller count come first."""
    uniforms = generator.random((count, 1 + len(_SLOTS)))
    modes = grammar.invert(mode_probabilities(), uniforms[:, 0])
    columns = {
        name: np.array(list(slot), dtype=object)[grammar.invert(slot.values(), column)]
        for (name, slot), column in zip(_SLOTS.items(), uniforms.T[1:], strict=True)
    }
    texts = np.empty(count, dtype=object)
    for mode in range(MODES):
        rows = np.flatnonzero(modes == mode)
        names = _slots_of(mode)
        values = zip(*(columns[name][rows] for name in names), strict=True)
        texts[rows] = [Story(mode, dict(zip(names, row, strict=True))).text() for row in values]
    return texts.tolist()


def entropy() -> float:
    """Return the entropy of the distribution of a story's text, in nats."""
    slots = {name: grammar.entropy(slot.values()) for name, slot in _SLOTS.items()}
    given_mode = [math.fsum(slots[name] for name in _slots_of(mode)) for mode in range(MODES)]
    return grammar.entropy(mode_probabilities()) + math.fsum(mode_probabilities() * given_mode)


def parse(text: str) -> Story | None:
    """Return the one story that has this text, or None if there is none."""
    for opening, start, first in _matches(_SENTENCES["opening"], text, 0):
        for mode, (ending, plot) in enumerate(_PLOTS.values()):
            for _, middle, second in _matches((f" {plot} ",), text, start):
                for closing, _, third in _matches(_SENTENCES[ending], text, middle):
                    found = {**first, **second, **third, "opening": opening, ending: closing}
                    choices = {name: found[name] for name in _slots_of(mode)}
                    # Values of a match need not be in the table, nor agree with each other.
                    if all(value in _SLOTS[slot] for slot, value in choices.items()):
                        story = Story(mode, choices)
                        if story.text() == text:
                            return story
    return None


def log_probability(text: str) -> float:
    """Return the logarithm of a text's probability, in nats; -inf if it is no story."""
    story = parse(text)
    if story is None:
        return -math.inf
    logarithms = (math.log(_SLOTS[slot][value]) for slot, value in story.choices.items())
    return math.log(mode_probabilities()[story.mode]) + math.fsum(logarithms)


@cache
def _slots_of(mode: int) -> tuple[str, ...]:
    """Return the slots of a plot; its ending has no further ones, and openings have the same."""
    ending, plot = _PLOTS[MODE_NAMES[mode]]
    names = {
        "opening",
        ending,
        *grammar.pattern(_SENTENCES["opening"][0])[0],
        *grammar.pattern(plot)[0],
    }
    return tuple(name for name in _SLOTS if name in names)


def _matches(
    templates: Iterable[str], text: str, position: int
) -> Iterator[tuple[str, int, dict[str, str]]]:
    """Yield the templates that match at a position, the end of the match, and the slots' words."""
    for template in templates:
        names, pattern = grammar.pattern(template)
        if match := pattern.match(text, position):
            yield template, match.end(), dict(zip(names, match.groups(), strict=True))
