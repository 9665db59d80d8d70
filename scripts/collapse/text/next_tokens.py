"""Prediction of the next token, whose loss the training of causal language models minimises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from collapse.text import evaluation
from collapse.text.stored_tokens import IGNORED, Tokens

#: Largest number of test documents for a point of the learning curve.
CURVE_DOCUMENTS = 512


class NextTokens:
    """The weight and the losses of a `collapse.training.task.Task`; families add its batches.

    Parameters
    ----------
    model : torch.nn.Module
        The model to train.
    test : Tokens
        Real test documents for the learning curve.
    responses : bool
        Whether the test loss counts only the tokens of responses. (In batches the labels of all
        other tokens are `IGNORED`.)
    """

    unit = "tokens"

    def __init__(self, model: Any, test: Tokens, *, responses: bool = False) -> None:
        self.model: torch.nn.Module = model
        self._test, self._responses = test, responses

    def weight(self, batch: Mapping[str, Tensor]) -> float:
        """Return the number of predicted tokens in a batch."""
        return float((batch["labels"] != IGNORED).sum())

    def loss(self, model: torch.nn.Module, rows: Mapping[str, Tensor]) -> Tensor:
        """Return the sum of -log p over the predicted tokens, each times its weight if it has one.

        It is divided by the number of predicted tokens, not by the sum of their weights, whose mean
        over the training set is 1: so the expected gradient is that of the weighted objective.
        """
        given = {name: rows[name] for name in rows if name not in ("labels", "weights")}
        logits = model(**given, use_cache=False).logits
        weighed = "weights" in rows
        losses = functional.cross_entropy(
            logits.flatten(0, 1).float(),
            rows["labels"].flatten(),
            ignore_index=IGNORED,
            reduction="none" if weighed else "sum",
        )
        return (losses * rows["weights"].flatten()).sum() if weighed else losses

    def test_loss(self, model: torch.nn.Module) -> float:
        """Return the mean of -log p over the predicted tokens of real test documents."""
        return evaluation.cross_entropy(
            model, self._test, CURVE_DOCUMENTS, responses=self._responses
        )
