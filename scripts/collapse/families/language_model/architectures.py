"""Shapes and parameter counts of the models, without torch.

The published parameter counts fix hidden size, layers and feed-forward size
(docs/reproduction.md, "Language-model pretraining"). The numbers of heads are not known; ours have
64 dimensions each.
"""

from __future__ import annotations

from typing import NamedTuple


class Architecture(NamedTuple):
    """Shape of a transformer; the context has at most ``positions`` tokens."""

    kind: str
    hidden: int
    layers: int
    heads: int
    feed_forward: int
    positions: int = 2048

    def parameters(self, vocabulary: int) -> int:
        """Return the number of parameters; tied ones count once."""
        hidden, wide = self.hidden, self.feed_forward
        if self.kind == "gpt2":
            layer = 4 * hidden**2 + 2 * hidden * wide + 9 * hidden + wide
            return self.layers * layer + (vocabulary + self.positions + 2) * hidden
        layer = 4 * hidden**2 + 3 * hidden * wide + 2 * hidden
        return self.layers * layer + (2 * vocabulary + 1) * hidden


ARCHITECTURES = {
    "tiny": Architecture("llama", 128, 2, 4, 512, 256),
    "gpt2-9m": Architecture("gpt2", 256, 8, 4, 1024),
    "llama2-12m": Architecture("llama", 256, 8, 4, 1024),
    "llama2-42m": Architecture("llama", 512, 8, 8, 2048),
    "llama2-126m": Architecture("llama", 768, 12, 12, 3072),
}
