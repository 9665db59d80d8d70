"""The text of a pair is read by its structure, and gives the very pair back."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from collapse.data.text import dialogue
from collapse.data.text.dialogue import DELIMITER, Pair

# Parts that could be taken for the frame, or for one when they meet it.
pieces = st.sampled_from(
    ["user: ", "\nassistant: ", "\n", "assistant: ", "\nuser: ", " ", "é", "a"]
)
any_text = st.one_of(st.text(), st.lists(pieces, max_size=6).map("".join))
any_pair = st.builds(Pair, any_text, any_text)


@given(any_pair)
def test_a_pair_without_a_fault_is_read_as_itself(pair):
    assume(pair.prompt.strip() and pair.response.strip())
    if DELIMITER in pair.prompt:
        assert dialogue.fault(pair) == "ambiguous"
        # It would be read as another pair, which is why it is not used.
        assert dialogue.parse(dialogue.render(pair)) != pair
    else:
        assert dialogue.fault(pair) is None
        assert dialogue.parse(dialogue.render(pair)) == pair


@given(any_pair, st.sampled_from(["", " ", "\n\t", "\u3000"]))
def test_empty_parts_are_a_fault_and_their_text_is_that_of_no_pair(pair, nothing):
    for empty in (pair._replace(response=nothing), Pair(nothing, "a")):
        assert dialogue.fault(empty) == "empty"
        if DELIMITER not in pair.prompt:
            assert dialogue.parse(dialogue.render(empty)) is None


@given(st.one_of(any_text, any_text.map("user: {}".format), any_pair.map(dialogue.render)))
def test_what_is_read_is_all_that_there_is(text):
    pair = dialogue.parse(text)
    if pair is None:
        with pytest.raises(ValueError, match="not the text of a prompt and a response"):
            dialogue.head(text)
        return
    assert dialogue.fault(pair) is None
    assert dialogue.render(pair) == text
    assert text[dialogue.head(text) :] == pair.response
    assert text[: dialogue.head(text)] == f"user: {pair.prompt}\nassistant: "


@pytest.mark.parametrize(
    "text",
    [
        *("", "user: a", "user: a\nassistant:", "user: a\nassistant: ", "user: a\nassistant:b"),
        *("user: a\n assistant: b", "user: a assistant: b", "user: \nassistant: b"),
        *("user:a\nassistant: b", "User: a\nassistant: b", " user: a\nassistant: b"),
        *("\nuser: a\nassistant: b", "resu: a\nassistant: b", "assistant: b\nuser: a"),
        "a\nassistant: b",
    ],
)
def test_malformed_texts_are_no_pairs(text):
    assert dialogue.parse(text) is None


def test_the_first_delimiter_ends_the_prompt_and_no_character_is_stripped():
    """The published code took it for a set of characters (docs/reproduction.md, mistake 3)."""
    text = "user: user: see us\n\nassistant:\nassistant:  a\nassistant: b \n"
    assert dialogue.parse(text) == ("user: see us\n\nassistant:", " a\nassistant: b \n")
