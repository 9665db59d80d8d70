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
        """Return the sum of -log p over the predicted tokens."""
        inputs = {name: values for name, values in rows.items() if name != "labels"}
        logits = model(**inputs, use_cache=False).logits
        return functional.cross_entropy(
            logits.flatten(0, 1).float(),
            rows["labels"].flatten(),
            ignore_index=IGNORED,
            reduction="sum",
        )

    def test_loss(self, model: torch.nn.Module) -> float:
        """Return the mean of -log p over the predicted tokens of real test documents."""
        return evaluation.cross_entropy(
            model, self._test, CURVE_DOCUMENTS, responses=self._responses
        )
