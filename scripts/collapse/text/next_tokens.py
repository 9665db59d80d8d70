"""Learning the next token: what the training of any causal language model minimises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from collapse.text import evaluation
from collapse.text.stored_tokens import IGNORED, Tokens

#: Test documents, at most, for a point of the learning curve.
CURVE_DOCUMENTS = 512


class NextTokens:
    """The weight and the losses of `collapse.training.task.Task`; families add its batches.

    Parameters
    ----------
    model : torch.nn.Module
        What is trained.
    test : Tokens
        Real documents for the learning curve.
    responses : bool
        Evaluate the tokens of responses alone, as batches whose other labels are `IGNORED` do.
    """

    def __init__(self, model: Any, test: Tokens, *, responses: bool = False) -> None:
        self.model: torch.nn.Module = model
        self._test, self._responses = test, responses

    def weight(self, batch: Mapping[str, Tensor]) -> float:
        """Return the number of predicted tokens."""
        return float((batch["labels"] != IGNORED).sum())

    def loss(self, model: torch.nn.Module, rows: Mapping[str, Tensor]) -> Tensor:
        """Return -log p, summed over the predicted tokens."""
        inputs = {name: values for name, values in rows.items() if name != "labels"}
        logits = model(**inputs, use_cache=False).logits
        return functional.cross_entropy(
            logits.flatten(0, 1).float(),
            rows["labels"].flatten(),
            ignore_index=IGNORED,
            reduction="sum",
        )

    def test_loss(self, model: torch.nn.Module) -> float:
        """Return the mean over predicted tokens of -log p on real test documents."""
        return evaluation.cross_entropy(
            model, self._test, CURVE_DOCUMENTS, responses=self._responses
        )
