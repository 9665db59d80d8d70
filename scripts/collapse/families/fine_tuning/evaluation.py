"""Metrics of generated pairs, as far as the built-in grammar of questions knows them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from collapse.data.text import pairs, questions
from collapse.text import metrics


def of_questions(texts: Sequence[str]) -> dict[str, float]:
    """Return how many pairs ask a question of the grammar, of which kinds, and how many are right.

    The share that is answered correctly is nan where no question is asked.
    """
    parsed = [pair for pair in map(pairs.parse, texts) if pair is not None]
    asked = [pair for pair in parsed if questions.is_question(pair.prompt)]
    modes = np.array([questions.mode(pair.prompt) for pair in asked], dtype=np.int64)
    correct = sum(questions.is_correct(pair.prompt, pair.response) for pair in asked)
    return {
        "question_share": len(asked) / len(texts),
        "correct_share": correct / len(asked) if asked else np.nan,
        "mode_coverage": metrics.mode_coverage(modes, questions.MODES),
        "mode_distance": metrics.mode_distance(modes, questions.mode_probabilities()),
    }
