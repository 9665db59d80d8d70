"""Questions about what happens in the built-in stories, with answers that are known.

For a pair a kind of question (its mode), one of the kind's forms, and a word for each slot of
the form are drawn independently, then one of the right answers, which are equally probable.
Slots are single words and no two forms share a prompt, so that a prompt can be parsed and its
right answers follow from it. Rare kinds are what collapse loses first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from collapse.data.text import grammar
from collapse.data.text.dialogue import Pair

_NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve"
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday"
_COLOURS = "red blue green yellow pink silver golden"
_PLACES = "park garden forest field village meadow valley barn market castle"

# The exponent of each slot's Zipf law, and its values from the most to the least probable. Two
# slots of one sort, such as places, may have the same word in a form, except for names.
_WORDS = {
    "girl": (1.0, "Lily Anna Mia Lucy Ella Rosie Daisy Ruby"),
    "boy": (1.0, "Tom Ben Sam Max Jack Leo Finn Theo"),
    "colour": (0.5, _COLOURS),
    "other": (0.5, _COLOURS),
    "toy": (0.5, "ball kite hat doll boat book"),
    "tool": (0.5, "bell cup drum scarf robot lamp"),
    "place": (0.5, _PLACES),
    "elsewhere": (0.5, _PLACES),
    "animal": (0.5, "dog cat rabbit bird horse mouse bear monkey duck goat"),
    "caller": (0.5, "dog cat bird horse mouse bear duck goat"),
    "size": (0.5, "little big young fat grumpy"),
    "number": (0.3, "two three four five six"),
    "more": (0.3, "two three four five six"),
    "few": (0.3, "two three four"),
    "many": (0.3, "six seven eight nine ten"),
    "weather": (0.5, "sunny windy rainy cold warm snowy"),
    "skill": (0.5, "run swim climb fly"),
    "stem": (0.3, "tall old fast strong young kind"),
    "quality": (0.3, "big little happy sad young old fat thin warm cold"),
    "day": (0.0, _DAYS),
}
# What animals eat, callers say and skills suit, and opposites, in the order of the slots' words.
_FOODS = "bones milk carrots seeds hay cheese honey bananas bread grass"
_SOUNDS = "woof meow tweet neigh squeak growl quack baa"
_ABLE = {
    "run": ("dog", "horse", "rabbit", "cat"),
    "swim": ("duck", "dog", "bear"),
    "climb": ("monkey", "cat", "bear", "goat"),
    "fly": ("bird", "duck"),
}
_OPPOSITES = "little big sad happy old young thin fat cold warm"

# The equally probable forms of each kind, from the most to the least probable kind; a form is a
# prompt and its answer, which may have one slot beyond those of the prompt, a key of _RIGHT.
_KINDS = {
    "sounds": [("{girl} and {boy} saw a {size} {caller} in the {place}. "
        "What did the {caller} say?", "The {caller} said {sound}.")],
    "skills": [("One {weather} day {girl} and {boy} are in the {place}. "
        "Which animal can {skill}?", "The {able} can {skill}.")],
    "adding": [("{girl} has {number} {toy}s and {boy} has {more} {toy}s. "
        "How many {toy}s do they have?", "They have {sum} {toy}s.")],
    "turns": [("{girl} and {boy} want the {colour} {toy} in the {place}. "
        "Who has it first?", "{either} has it first.")],
    "food": [("{boy} saw a hungry {size} {animal} in the {place}. "
        "What does the {animal} eat?", "The {animal} eats {food}.")],
    "choosing": [("In the {place} {girl} wants a {toy}, but not a {colour} one. "
        "Which {toy} does {boy} give her?", "{boy} gives her a {another} {toy}.")],
    "losing": [("{boy} had {many} {toy}s and lost {few} in the {place}. "
        "How many {toy}s are left?", "There are {left} {toy}s left.")],
    "opposites": [("{girl} saw a very {quality} {animal} in the {place}. "
        "What is the opposite of {quality}?", "The opposite of {quality} is {opposite}.")],
    "days": [
        ("{girl} came to the {place} on {day} and {boy} came one day later. "
         "When did {boy} come?", "{boy} came on {next}."),
        ("{girl} came to the {place} on {day} and {boy} came one day before. "
         "When did {boy} come?", "{boy} came on {previous}.")],
    "places": [
        ("{girl} went to the {place} and {boy} went to the {elsewhere}. "
         "Where is {girl}?", "{girl} is in the {place}."),
        ("{girl} went to the {place} and {boy} went to the {elsewhere}. "
         "Where is {boy}?", "{boy} is in the {elsewhere}.")],
    "between": [("{boy} wants more than {few} but less than {many} {toy}s in the {place}. "
        "How many {toy}s does he take?", "He takes {between} {toy}s.")],
    "finding": [
        ("{girl} found a {toy} and {boy} found a {tool} in the {place}. "
         "Who found the {toy}?", "{girl} found it."),
        ("{girl} found a {toy} and {boy} found a {tool} in the {place}. "
         "Who found the {tool}?", "{boy} found it.")],
    "colours": [
        ("{girl} has a {colour} {toy} and {boy} has a {other} {toy}. "
         "What colour is the {toy} of {girl}?", "It is {colour}."),
        ("{girl} has a {colour} {toy} and {boy} has a {other} {toy}. "
         "What colour is the {toy} of {boy}?", "It is {other}.")],
    "order": [
        ("{girl} is {stem}er than {boy} and {boy} is {stem}er than the {animal}. "
         "Who is the {stem}est?", "{girl} is the {stem}est."),
        ("{boy} is {stem}er than {girl} and {girl} is {stem}er than the {animal}. "
         "Who is the {stem}est?", "{boy} is the {stem}est."),
        ("The {animal} is {stem}er than {girl} and {girl} is {stem}er than {boy}. "
         "Who is the {stem}est?", "The {animal} is the {stem}est.")],
}  # fmt: skip

#: Number of kinds of questions, and their names in the order of their numbers.
MODES = len(_KINDS)
MODE_NAMES = tuple(_KINDS)
_FORMS = tuple(_KINDS.values())

_SLOTS = {
    name: grammar.zipf(exponent, values.split()) for name, (exponent, values) in _WORDS.items()
}
_FOOD = dict(zip(_SLOTS["animal"], _FOODS.split(), strict=True))
_SOUND = dict(zip(_SLOTS["caller"], _SOUNDS.split(), strict=True))
_OPPOSITE = dict(zip(_SLOTS["quality"], _OPPOSITES.split(), strict=True))
_COUNTING = _NUMBERS.split()
_VALUE = {word: value for value, word in enumerate(_COUNTING)}
_WEEK = _DAYS.split()


class _Right(NamedTuple):
    """The right words for a slot of an answer, as a function of some slots of its prompt."""

    slots: tuple[str, ...]
    values: Callable[..., Sequence[str]]


_RIGHT = {
    "sum": _Right(("number", "more"), lambda a, b: [_COUNTING[_VALUE[a] + _VALUE[b]]]),
    "left": _Right(("many", "few"), lambda a, b: [_COUNTING[_VALUE[a] - _VALUE[b]]]),
    "between": _Right(("few", "many"), lambda a, b: _COUNTING[_VALUE[a] + 1 : _VALUE[b]]),
    "another": _Right(("colour",), lambda a: [word for word in _SLOTS["colour"] if word != a]),
    "sound": _Right(("caller",), lambda a: [_SOUND[a]]),
    "food": _Right(("animal",), lambda a: [_FOOD[a]]),
    "able": _Right(("skill",), lambda a: _ABLE[a]),
    "either": _Right(("girl", "boy"), lambda a, b: [a, b]),
    "next": _Right(("day",), lambda a: [_WEEK[(_WEEK.index(a) + 1) % 7]]),
    "previous": _Right(("day",), lambda a: [_WEEK[_WEEK.index(a) - 1]]),
    "opposite": _Right(("quality",), lambda a: [_OPPOSITE[a]]),
}


class Question(NamedTuple):
    """A question as its choices: the numbers of its kind and form, the words of its slots."""

    mode: int
    form: int
    choices: dict[str, str]

    def prompt(self) -> str:
        """Return the words of the question."""
        return self._templates()[0].format(**self.choices)

    def answers(self) -> list[str]:
        """Return the right answers, which are equally probable."""
        answer = self._templates()[1]
        name = _asked(answer)
        if name is None:
            return [answer.format(**self.choices)]
        slots, values = _RIGHT[name]
        right = values(*(self.choices[slot] for slot in slots))
        return [answer.format(**self.choices, **{name: value}) for value in right]

    def _templates(self) -> tuple[str, str]:
        return _FORMS[self.mode][self.form]


def mode_probabilities() -> NDArray[np.float64]:
    """Return the probability of each kind: the Zipf-Mandelbrot law (rank + 2)**-1.5."""
    weights = (np.arange(MODES) + 3.0) ** -1.5
    return weights / weights.sum()


def draw(count: int, generator: np.random.Generator) -> list[Pair]:
    """Draw ``count`` independent pairs; those of a smaller count come first."""
    uniforms = generator.random((count, 3 + len(_SLOTS)))
    modes = grammar.invert(mode_probabilities(), uniforms[:, 0])
    columns = [
        np.array(list(slot), dtype=object)[grammar.invert(slot.values(), column)].tolist()
        for slot, column in zip(_SLOTS.values(), uniforms.T[3:], strict=True)
    ]
    pairs = []
    for mode, (_, form, answer), words in zip(
        modes.tolist(), uniforms[:, :3].tolist(), zip(*columns, strict=True), strict=True
    ):
        number = int(form * len(_FORMS[mode]))
        drawn = dict(zip(_SLOTS, words, strict=True))
        question = Question(mode, number, {name: drawn[name] for name in _slots_of(mode, number)})
        answers = question.answers()
        pairs.append(Pair(question.prompt(), answers[int(answer * len(answers))]))
    return pairs


def parse(prompt: str) -> Question | None:
    """Return the one question that has this prompt, or None if there is none."""
    for mode, form in _forms():
        template = _FORMS[mode][form][0]
        names, pattern = grammar.pattern(template)
        if match := pattern.fullmatch(prompt):
            # Words of a match need not be in the table, nor agree with each other.
            found = dict(zip(names, match.groups(), strict=True))
            if all(word in _SLOTS[name] for name, word in found.items()):
                question = Question(
                    mode, form, {name: found[name] for name in _slots_of(mode, form)}
                )
                if question.prompt() == prompt:
                    return question
    return None


def mode(prompt: str) -> int | None:
    """Return the kind of a question, or None if the prompt is no question."""
    question = parse(prompt)
    return None if question is None else question.mode


def is_question(prompt: str) -> bool:
    """Tell whether a prompt is a question of the grammar."""
    return parse(prompt) is not None


def is_correct(prompt: str, response: str) -> bool:
    """Tell whether a prompt is a question of the grammar and the response a right answer to it."""
    question = parse(prompt)
    return question is not None and response in question.answers()


def log_probability(pair: Pair) -> float:
    """Return the logarithm of a pair's probability, in nats; -inf if the grammar lacks the pair."""
    question = parse(pair.prompt)
    if question is None or pair.response not in (answers := question.answers()):
        return -math.inf
    kind = mode_probabilities()[question.mode] / len(_FORMS[question.mode])
    words = (math.log(_SLOTS[name][word]) for name, word in question.choices.items())
    return math.log(kind) + math.fsum(words) - math.log(len(answers))


def entropy() -> float:
    """Return the entropy of the distribution of a pair, in nats."""
    slots = {name: grammar.entropy(slot.values()) for name, slot in _SLOTS.items()}
    probabilities = mode_probabilities()
    given_kind = [0.0] * MODES
    for mode, form in _forms():
        words = math.fsum(slots[name] for name in _slots_of(mode, form))
        choice = math.fsum(p * math.log(right) for p, right in _numbers_right(mode, form))
        forms = len(_FORMS[mode])
        given_kind[mode] += (math.log(forms) + words + choice) / forms
    return grammar.entropy(probabilities) + math.fsum(probabilities * given_kind)


def _forms() -> Iterator[tuple[int, int]]:
    return ((mode, form) for mode, forms in enumerate(_FORMS) for form in range(len(forms)))


@cache
def _slots_of(mode: int, form: int) -> tuple[str, ...]:
    """Return the slots of a form's prompt."""
    names = grammar.pattern(_FORMS[mode][form][0])[0]
    return tuple(name for name in _SLOTS if name in names)


def _asked(answer: str) -> str | None:
    """Return the slot of an answer that its prompt doesn't have, or None; there is at most one."""
    return next((name for name in grammar.pattern(answer)[0] if name in _RIGHT), None)


def _numbers_right(mode: int, form: int) -> Iterator[tuple[float, int]]:
    """Yield the probability of the words that decide on the answer, and how many are right."""
    asked = _asked(_FORMS[mode][form][1])
    slots, values = _RIGHT[asked] if asked else _Right((), lambda: [""])
    for words in product(*(_SLOTS[name] for name in slots)):
        probability = math.prod(_SLOTS[name][word] for name, word in zip(slots, words, strict=True))
        yield probability, len(values(*words))
