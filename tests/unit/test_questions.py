"""The grammar of questions: its distribution is the one stated, and its answers are right."""

import itertools
import math
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from collapse.data.text import dialogue, grammar, questions, stories, tokenizing
from collapse.data.text.questions import Question

COUNT = 20_000


@pytest.fixture(scope="module")
def pairs():
    return questions.draw(COUNT, np.random.default_rng(0))


@pytest.fixture(scope="module")
def parsed(pairs):
    return [questions.parse(pair.prompt) for pair in pairs]


@st.composite
def any_question(draw):
    """Choices uniform over the words of each slot, so that tails are tried too."""
    mode, form = draw(st.sampled_from([*questions._forms()]))
    names = questions._slots_of(mode, form)
    words = {name: draw(st.sampled_from([*questions._SLOTS[name]])) for name in names}
    return Question(mode, form, words)


def answered(kind):
    return lambda pair: questions.MODE_NAMES[questions.mode(pair.prompt)] == kind


# The distribution


def possible(word):
    """Return what a word of a template, perhaps with a slot in it, may become."""
    names = re.findall(r"{(\w+)}", word)
    assert len(names) <= 1
    if not names:
        return frozenset([word])
    values = [*questions._SLOTS[names[0]]]
    assert all(re.fullmatch(r"\w+", value) for value in values)
    return frozenset(word.replace(f"{{{names[0]}}}", value) for value in values)


def test_no_two_forms_share_a_prompt():
    """Any two forms differ in length, or in a place where they have no word in common."""
    of_length = {}
    for mode, form in questions._forms():
        prompt, _ = questions._FORMS[mode][form]
        # What is asked for may be the one difference: a name or a thing given before.
        words = [possible(word) for word in prompt.split(" ")]
        of_length.setdefault(len(words), []).append(words)
    for group in of_length.values():
        for one, other in itertools.combinations(group, 2):
            assert any(a.isdisjoint(b) for a, b in zip(one, other, strict=True))


def test_answers_say_one_thing_at_most_that_is_not_in_the_prompt():
    for mode, form in questions._forms():
        prompt, answer = questions._FORMS[mode][form]
        said, given = (set(re.findall(r"{(\w+)}", text)) for text in (answer, prompt))
        assert len(said - given) <= 1
        for name in said - given:
            assert set(questions._RIGHT[name].slots) <= given


def test_entropy_and_probabilities_are_those_of_the_enumeration(monkeypatch):
    """All pairs of the grammar are enumerated, with only two or three words for each slot."""
    few = {
        name: grammar.zipf(0.5 + index / 10, [*slot][-2 - (name == "colour") :])
        for index, (name, slot) in enumerate(questions._SLOTS.items())
    }
    monkeypatch.setattr(questions, "_SLOTS", few)
    found = {}
    for mode, form in questions._forms():
        names = questions._slots_of(mode, form)
        for words in itertools.product(*(few[name] for name in names)):
            question = Question(mode, form, dict(zip(names, words, strict=True)))
            for answer in question.answers():
                pair = dialogue.Pair(question.prompt(), answer)
                assert pair not in found
                found[pair] = questions.log_probability(pair)
    logarithms = np.array([*found.values()])
    assert np.exp(logarithms).sum() == pytest.approx(1, rel=1e-12)
    assert -np.exp(logarithms) @ logarithms == pytest.approx(questions.entropy(), rel=1e-12)


def test_mean_surprise_of_draws_is_the_entropy(pairs):
    surprise = -np.array([questions.log_probability(pair) for pair in pairs])
    error = surprise.std(ddof=1) / np.sqrt(COUNT)
    assert abs(surprise.mean() - questions.entropy()) < 5 * error


def test_frequencies_of_kinds_of_forms_and_of_words(parsed):
    modes = np.bincount([question.mode for question in parsed], minlength=questions.MODES)
    assert chisquare(modes, COUNT * questions.mode_probabilities()).pvalue > 1e-4
    for mode, forms in enumerate(questions._FORMS):
        chosen = [question.form for question in parsed if question.mode == mode]
        counts = np.bincount(chosen, minlength=len(forms))
        assert len(forms) == 1 or chisquare(counts).pvalue > 1e-4
    for name, slot in questions._SLOTS.items():
        chosen = [question.choices[name] for question in parsed if name in question.choices]
        counts = [chosen.count(word) for word in slot]
        assert chisquare(counts, len(chosen) * np.array([*slot.values()])).pvalue > 1e-4, name


def test_right_answers_are_equally_probable(pairs, parsed):
    places = {}
    for pair, question in zip(pairs, parsed, strict=True):
        answers = question.answers()
        places.setdefault((question.mode, len(answers)), []).append(answers.index(pair.response))
    for (_, right), chosen in places.items():
        assert right == 1 or chisquare(np.bincount(chosen, minlength=right)).pvalue > 1e-4
    free = {questions.MODE_NAMES[mode] for mode, right in places if right > 1}
    assert free == {"choosing", "skills", "turns", "between"}


def test_draws_are_those_of_the_generator(pairs):
    assert questions.draw(1000, np.random.default_rng(0)) == pairs[:1000]
    assert questions.draw(1000, np.random.default_rng(1)) != pairs[:1000]
    assert questions.draw(0, np.random.default_rng(0)) == []


# The answers, worked out from the words of the question


COUNTING = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
NUMBERS = {word: number for number, word in enumerate((*COUNTING, "eleven", "twelve"))}
WEEK = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


def numbers_in(text):
    return [NUMBERS[word] for word in re.findall(r"\w+", text) if word in NUMBERS]


def test_sums_and_differences(pairs):
    for pair in filter(answered("adding"), pairs):
        assert [sum(numbers_in(pair.prompt))] == numbers_in(pair.response)
    for pair in filter(answered("losing"), pairs):
        had, lost = numbers_in(pair.prompt)
        assert [had - lost] == numbers_in(pair.response)
    for pair in filter(answered("between"), pairs):
        more, less = numbers_in(pair.prompt)
        (taken,) = numbers_in(pair.response)
        assert more < taken < less


def test_days(pairs):
    for pair in filter(answered("days"), pairs):
        (day,) = [word for word in WEEK if word in pair.prompt]
        step = 1 if "one day later" in pair.prompt else -1
        assert WEEK[(WEEK.index(day) + step) % 7] in pair.response


def test_who_has_what_and_who_is_where(pairs):
    for pair in filter(answered("colours"), pairs):
        who = re.search(r"of (\w+)\?", pair.prompt)[1]
        assert pair.response == f"It is {re.search(rf'{who} has a (.+?) ', pair.prompt)[1]}."
    for pair in filter(answered("places"), pairs):
        who = re.search(r"is (\w+)\?", pair.prompt)[1]
        place = re.search(rf"{who} went to the (\w+)", pair.prompt)[1]
        assert pair.response == f"{who} is in the {place}."
    for pair in filter(answered("finding"), pairs):
        what = re.search(r"the (\w+)\?", pair.prompt)[1]
        assert pair.response == re.search(rf"(\w+) found a {what}", pair.prompt)[1] + " found it."


def test_who_is_first_in_the_order(pairs):
    for pair in filter(answered("order"), pairs):
        (first, below), (middle, least) = re.findall(
            r"(?:The |the )?(\w+) is \w+er than (?:the )?(\w+)", pair.prompt
        )
        assert below == middle and len({first, middle, least}) == 3
        assert re.match(rf"(The )?{first} is the \w+est\.", pair.response)


def test_choices_are_among_what_was_asked_for(pairs):
    for pair in filter(answered("choosing"), pairs):
        refused = re.search(r"not a (\w+) one", pair.prompt)[1]
        taken, thing = re.search(r"her a (\w+) (\w+)", pair.response).groups()
        assert taken != refused and f"wants a {thing}," in pair.prompt
    for pair in filter(answered("turns"), pairs):
        assert pair.response.split(" ")[0] in re.match(r"(\w+) and (\w+)", pair.prompt).groups()


def test_what_animals_eat_and_say_and_opposites():
    for animal, food in questions._FOOD.items():
        assert stories._FOOD[animal] == food
    assert questions._SOUND["dog"] == "woof" and questions._SOUND["goat"] == "baa"
    for word, opposite in questions._OPPOSITE.items():
        assert questions._OPPOSITE[opposite] == word != opposite


# What is right and what is not


def test_every_draw_is_right(pairs, parsed):
    assert all(questions.is_correct(*pair) for pair in pairs)
    assert [question.prompt() for question in parsed] == [pair.prompt for pair in pairs]
    assert all(type(part) is str for pair in pairs for part in pair)
    assert {dialogue.fault(pair) for pair in pairs} == {None}


@given(any_question())
def test_every_question_parses_to_its_choices(question):
    prompt = question.prompt()
    assert questions.parse(prompt) == question
    assert questions.is_question(prompt) and questions.mode(prompt) == question.mode
    answers = question.answers()
    assert len(answers) == len(set(answers)) > 0
    for answer in answers:
        assert questions.is_correct(prompt, answer)
        assert questions.log_probability(dialogue.Pair(prompt, answer)) == pytest.approx(
            math.log(questions.mode_probabilities()[question.mode])
            - math.log(len(questions._FORMS[question.mode]) * len(answers))
            + sum(math.log(questions._SLOTS[name][word]) for name, word in question.choices.items())
        )


WORDS = sorted(
    {word for slot in questions._SLOTS.values() for word in slot}
    | {*NUMBERS, *questions._FOOD.values(), *questions._SOUND.values()}
)


@given(any_question(), st.data())
def test_an_answer_with_another_word_is_wrong_unless_there_is_a_choice(question, data):
    answers = question.answers()
    words = data.draw(st.sampled_from(answers)).split(" ")
    place = data.draw(st.integers(0, len(words) - 1))
    end = re.sub(r"^\w+", "", words[place])
    words[place] = data.draw(st.sampled_from(WORDS)) + end
    changed = " ".join(words)
    assert questions.is_correct(question.prompt(), changed) == (changed in answers)
    pair = dialogue.Pair(question.prompt(), changed)
    assert (questions.log_probability(pair) > -math.inf) == (changed in answers)
    if len(answers) == 1 and place != len(words) - 1:
        assert questions.is_correct(question.prompt(), changed) == (changed == answers[0])


@given(any_question(), any_question())
def test_the_answer_to_another_question_is_right_only_if_it_says_the_same(one, other):
    for answer in other.answers():
        assert questions.is_correct(one.prompt(), answer) == (answer in one.answers())
    assert not questions.is_question(f"{one.prompt()} {other.prompt()}")
    assert not questions.is_correct(one.answers()[0], one.prompt())


@pytest.mark.parametrize(
    "change",
    [str.lower, lambda t: t + " ", lambda t: t + "\n", lambda t: " " + t, lambda t: t[:-1]],
)
def test_the_grammar_is_strict(change, pairs):
    for prompt, answer in pairs[:50]:
        assert not questions.is_question(change(prompt))
        assert not questions.is_correct(change(prompt), answer)
        assert not questions.is_correct(prompt, change(answer)) or change(answer) == answer
    for text in ("", "{girl}", "Which animal can fly?"):
        assert questions.mode(text) is None
        assert not questions.is_correct(text, "")


@given(any_question(), st.data())
def test_a_question_with_a_word_dropped_or_repeated_is_none(question, data):
    words = question.prompt().split(" ")
    place = data.draw(st.integers(0, len(words) - 1))
    assert not questions.is_question(" ".join(words[:place] + words[place + 1 :]))
    assert not questions.is_question(" ".join(words[: place + 1] + words[place:]))
    assert not questions.is_question(" ".join(words[:place]))


@given(any_question(), st.data())
def test_what_is_asked_must_be_what_was_told(question, data):
    """A word that stands twice in a question is changed in one place only."""
    prompt, template = question.prompt(), questions._FORMS[question.mode][question.form][0]
    slots = re.findall(r"{(\w+)}", template)
    twice = [name for name, times in Counter(slots).items() if times > 1]
    if not twice:
        return
    name = data.draw(st.sampled_from(twice))
    places = [match.span() for match in re.finditer(rf"{{{name}}}", template)]
    start, stop = data.draw(st.sampled_from(places))
    others = [word for word in questions._SLOTS[name] if word != question.choices[name]]
    changed = template[:start] + data.draw(st.sampled_from(others)) + template[stop:]
    assert changed.format(**question.choices) != prompt
    assert not questions.is_question(changed.format(**question.choices))


# The size


def test_size_of_the_language(pairs):
    """There are few duplicates, and rare kinds are not too rare, as docstrings say."""
    probabilities = questions.mode_probabilities()
    assert questions.MODES == len(probabilities) == len(questions.MODE_NAMES) == 14
    assert probabilities.sum() == pytest.approx(1)
    assert list(probabilities) == sorted(probabilities, reverse=True)
    assert 0.01 < probabilities.min() < 0.03
    slots = itertools.starmap(questions._slots_of, questions._forms())
    prompts = sum(math.prod(len(questions._SLOTS[name]) for name in names) for names in slots)
    assert prompts > 1e5 and 10 < questions.entropy() < 12
    assert len(set(pairs[:1000])) > 950


def test_names_and_things_are_those_of_the_stories():
    names = {*questions._SLOTS["girl"], *questions._SLOTS["boy"]}
    assert names == set(stories._SLOTS["hero"])
    for name in ("girl", "boy"):
        assert {stories._PRONOUNS_OF[hero]["child"] for hero in questions._SLOTS[name]} == {name}
    others = {"toy": "thing", "tool": "thing", "caller": "animal"}
    for name in ("colour", "place", "animal", "size", *others):
        assert set(questions._SLOTS[name]) <= set(stories._SLOTS[others.get(name, name)])
    # Two who are told apart by their names, or two things, have different ones.
    assert not set(questions._SLOTS["girl"]) & set(questions._SLOTS["boy"])
    assert not set(questions._SLOTS["toy"]) & set(questions._SLOTS["tool"])


def test_pairs_are_short_in_the_tokens_of_a_small_vocabulary(pairs, tmp_path):
    texts = [dialogue.render(pair) for pair in pairs[:2000]]
    told = stories.draw(2000, np.random.default_rng(0))
    tokenizing.train([*told, *texts], 768, tmp_path)
    encoder = tokenizing.load(tmp_path)
    lengths = [len(one.ids) for one in encoder.encode_batch(texts, add_special_tokens=False)]
    assert max(lengths) < 60 and np.mean(lengths) < 45
