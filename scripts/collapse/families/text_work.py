"""The counted work of causal language models, which two families share."""

from __future__ import annotations

import math
from typing import NamedTuple

from collapse.families.work import Work

#: Largest number of samples that are drawn side by side (`collapse.text.sampling.opened`).
SIDE_BY_SIDE = 256
#: Largest number of test documents for a point of the learning curve, and tokens of a forward pass.
CURVE_DOCUMENTS, EVALUATED_TOKENS = 512, 2**14

#: The libraries that each step of both families imports.
LIBRARIES = {
    "base": ("torch", "transformers"),
    "prepare": ("tokenizers",),
    "train": ("torch", "transformers"),
    "generate": ("torch", "transformers", "tokenizers"),
    "evaluate": ("torch", "transformers"),
}

#: Seconds to draw a document of a grammar, to learn the vocabulary from it, and to tokenise it; to
#: write a sample, and to evaluate the text of one.
DOCUMENT, SAMPLE, EVALUATED_SAMPLE = 3e-4, 2e-4, 1e-3


class Transformer(NamedTuple):
    """The shape of a causal language model, as far as its work depends on it.

    ``width`` is that of the keys, and of the values, of a layer. ``multiplied`` is the number of
    weights that a token is multiplied with, those of the output layer included, and ``parameters``
    the number of all.
    """

    layers: int
    width: int
    vocabulary: int
    multiplied: float
    parameters: float

    def updates(self, count: float, tokens: float, passes: float = 6.0) -> Work:
        """Return the work of updates of so many tokens each.

        A token costs 2 operations a weight in the forward pass, 4 in the backward pass, and 2
        more where gradient checkpointing repeats the forward pass.
        """
        operations = passes * self.multiplied * tokens
        calls = 250 + 120 * self.layers
        return Work(calls=calls, flops=operations, size=self.parameters).times(count)

    def forward(self, tokens: float) -> Work:
        """Return the work of evaluating so many tokens."""
        passes = math.ceil(tokens / EVALUATED_TOKENS)
        return Work(
            calls=passes * (50 + 40 * self.layers),
            flops=2 * self.multiplied * tokens,
            # Logits are made in 32 bits and read in several passes.
            bytes=20.0 * self.vocabulary * tokens,
            size=self.parameters,
        )

    def sampling(
        self, samples: float, length: float, longest: float, prompt: float = 0.0, parts: int = 1
    ) -> Work:
        """Return the work of drawing samples of a mean length.

        All samples of a batch go on until the ``longest`` of them ends. For every token, weights
        are read once for a batch, and keys, values and logits for each of its samples. Samples may
        follow a ``prompt`` of so many tokens, and be drawn in ``parts`` that share no batch.
        """
        # Every part but one ends in the middle of a batch.
        batches = math.ceil(samples / SIDE_BY_SIDE) + max(0.0, min(parts, samples) - 1)
        steps = batches * longest
        rows = samples * longest
        # Read, and copied to make it longer.
        cached = 12.0 * self.layers * self.width * (prompt + longest)
        return Work(
            kind="sampling",
            calls=steps * (160 + 24 * self.layers),
            flops=2 * self.multiplied * (rows + samples * prompt),
            bytes=steps * 2 * self.parameters + rows * (cached + 80.0 * self.vocabulary),
            size=self.parameters,
        )

    def curve(self, points: int, documents: float, length: float) -> Work:
        """Return the work of evaluating the points of a learning curve on real test documents."""
        return self.forward(min(documents, CURVE_DOCUMENTS) * length).times(max(1, points))
