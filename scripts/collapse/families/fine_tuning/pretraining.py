"""Pretrain the built-in base: a small language model of the built-in stories.

It has not seen the real pairs that it will be tuned on, whatever they are, so that experiments
share it. Its vocabulary also knows the words of the built-in questions.
"""

from __future__ import annotations

from typing import Any

from collapse.data.text import pairs, questions, stories, tokenizing, tokens
from collapse.families import language_model
from collapse.families.fine_tuning import architectures
from collapse.families.fine_tuning.base import MODEL
from collapse.families.fine_tuning.parameters import Parameters
from collapse.families.language_model import training
from collapse.families.step_jobs import TrainJob
from collapse.families.text import TOKENIZER

#: Number of passes over the stories.
EPOCHS = 2.0

#: Number of test stories for the learning curve.
_TEST_STORIES = 200


def pretrain(job: TrainJob[Parameters]) -> dict[str, Any]:
    """Train a tokenizer and a model, and return the details of the training."""
    parameters, tokenizer = job.parameters, job.model / TOKENIZER
    texts = stories.draw(parameters.base_stories + _TEST_STORIES, job.step.stream("base stories"))
    test, train = texts[:_TEST_STORIES], texts[_TEST_STORIES:]
    # The tokenizer sees as many questions as stories, so that words of both get their own tokens.
    asked = questions.draw(len(train), job.step.stream("base questions"))
    tokenizing.train([*train, *map(pairs.render, asked)], parameters.vocabulary, tokenizer)
    for split, documents in (("train", train), ("test", test)):
        tokens.write_documents(
            job.scratch / split,
            documents,
            tokenizer,
            context=parameters.context,
            long_documents="truncate",
        )
    model = job.model / MODEL
    model.mkdir()
    return training.train(
        TrainJob(
            step=job.step,
            parameters=language_model.Parameters(
                model=architectures.TINY,
                vocabulary=parameters.vocabulary,
                context=parameters.context,
                epochs=EPOCHS,
                precision=parameters.precision,
                curve_points=1,
            ),
            data=job.scratch,
            selections=(),
            fingerprint=job.fingerprint,
            scratch=job.scratch,
            model=model,
        ),
        tokens.read(job.scratch / "train", columns=("tokens", "ended")),
        test=tokens.read(job.scratch / "test"),
        tokenizer=tokenizer,
    )
