"""Metrics of generated pairs that need the built-in grammar of questions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from collapse.data.text import pairs, questions
from collapse.text import metrics


def of_questions(texts: Sequence[str]) -> dict[str, float]:
    """Return the shares of questions and of correct answers, and how well kinds are covered.

    The share of correct answers is nan if no text asks a question of the grammar.
    """
    parsed = [pair for pair in map(pairs.parse, texts) if pair is not None]
    asked = [pair for pair in parsed if questions.is_question(pair.prompt)]
    modes = np.array([questions.mode(pair.prompt) for pair in asked], dtype=np.int64)
    correct = sum(questions.is_correct(pair.prompt, pair.response) for pair in asked)
    return {
        "question_share": len(asked) / len(texts),
        "correct_share": correct / len(asked) if asked else np.nan,
        **metrics.compared_modes(modes, questions.mode_probabilities()),
    }


def log_probability(text: str) -> float:
    """Return the logarithm of a text's probability, in nats; -inf if it is no right pair."""
    pair = pairs.parse(text)
    return -math.inf if pair is None else questions.log_probability(pair)


def is_correct(text: str) -> bool:
    """Tell whether a text is a question of the grammar with a right answer."""
    pair = pairs.parse(text)
    return pair is not None and questions.is_correct(pair.prompt, pair.response)
