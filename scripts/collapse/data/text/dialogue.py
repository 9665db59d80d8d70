r"""A prompt and its response, and the text that a model learns of them.

The text is ``user: {prompt}\nassistant: {response}`` (docs/reproduction.md, "Supervised
fine-tuning"). It is read by its structure: it begins with ``user: ``, and the first
``\nassistant: `` ends the prompt.
"""

from __future__ import annotations

from typing import NamedTuple

BEGIN = "user: "
#: End of a prompt. Two copies of it can't overlap, so the first one ends a prompt that has none.
DELIMITER = "\nassistant: "


class Pair(NamedTuple):
    """A prompt and a response to it."""

    prompt: str
    response: str


def fault(pair: Pair) -> str | None:
    """Return the fault that makes a pair unusable, or None.

    A pair is ``empty`` if one of its parts is mere white space, and ``ambiguous`` if its prompt
    contains `DELIMITER`, since its text would be read as another pair.
    """
    if not (pair.prompt.strip() and pair.response.strip()):
        return "empty"
    return "ambiguous" if DELIMITER in pair.prompt else None


def render(pair: Pair) -> str:
    """Return the text of a pair."""
    return f"{BEGIN}{pair.prompt}{DELIMITER}{pair.response}"


def parse(text: str) -> Pair | None:
    """Return the pair that has this text, or None if no usable pair has it."""
    if not text.startswith(BEGIN):
        return None
    prompt, delimiter, response = text.removeprefix(BEGIN).partition(DELIMITER)
    pair = Pair(prompt, response)
    return pair if delimiter and fault(pair) is None else None


def head(text: str) -> int:
    """Return the number of characters of a pair's text before its response.

    Raises
    ------
    ValueError
        If the text is not that of a pair.
    """
    pair = parse(text)
    if pair is None:
        raise ValueError(f"not the text of a prompt and a response: {text[:80]!r}")
    return len(text) - len(pair.response)
