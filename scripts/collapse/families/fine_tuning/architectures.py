"""Names and shapes of the pretrained models that fine-tuning starts from, without torch."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final, NamedTuple

from collapse.families.language_model.architectures import ARCHITECTURES

#: Name of the base that the workflow pretrains itself, on the built-in stories.
BUILT_IN = "stories"

#: The bases of P2, with their addresses on the Hub.
PUBLISHED = {name: f"hub:google/{name}" for name in ("gemma-2-2b", "gemma-2-9b", "gemma-2-27b")}

#: Name of the built-in base's architecture.
TINY: Final = "tiny"


class Shape(NamedTuple):
    """The shape of a transformer, from which its cost follows.

    ``head`` is the dimension of an attention head and ``norms`` the number of norms in a layer;
    ``embeddings`` is 1 if input and output share their embeddings, else 2.
    """

    hidden: int
    layers: int
    feed_forward: int
    heads: int
    key_value_heads: int
    head: int
    vocabulary: int
    norms: int = 4
    embeddings: int = 1

    @property
    def layer(self) -> int:
        """Number of parameters in a layer."""
        attention = 2 * self.hidden * self.head * (self.heads + self.key_value_heads)
        return attention + 3 * self.hidden * self.feed_forward + self.norms * self.hidden

    @property
    def parameters(self) -> int:
        """Number of all parameters."""
        return self.layers * self.layer + (self.embeddings * self.vocabulary + 1) * self.hidden


#: Shapes of Gemma-2, from the configurations that Google published with the weights.
_GEMMA = {
    "hub:google/gemma-2-2b": Shape(2304, 26, 9216, 8, 4, 256, 256_000),
    "hub:google/gemma-2-9b": Shape(3584, 42, 14_336, 16, 8, 256, 256_000),
    "hub:google/gemma-2-27b": Shape(4608, 46, 36_864, 32, 16, 128, 256_000),
}


def is_built_in(base: str) -> bool:
    """Tell whether the workflow pretrains the base itself."""
    return base == BUILT_IN


def on_hub(base: str) -> str | None:
    """Return the name of a base on the Hugging Face Hub; None for other bases."""
    source = PUBLISHED.get(base, base)
    return source.removeprefix("hub:") if source.startswith("hub:") else None


def folder(base: str) -> Path | None:
    """Return the folder of a base that is a local checkpoint; None for other bases."""
    return None if is_built_in(base) or on_hub(base) else Path(os.path.expanduser(base))


def shape(base: str, vocabulary: int) -> Shape | None:
    """Return the shape of a base; None if it cannot be known without downloading the base."""
    if is_built_in(base):
        tiny = ARCHITECTURES[TINY]
        heads, head = tiny.heads, tiny.hidden // tiny.heads
        common = (tiny.hidden, tiny.layers, tiny.feed_forward, heads, heads, head, vocabulary)
        return Shape(*common, norms=2, embeddings=2)
    local = folder(base)
    if local is None:
        return _GEMMA.get(PUBLISHED.get(base, base))
    try:
        return _configured(json.loads((local / "config.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # the preparation of the data reports the mistake


def _configured(config: dict[str, Any]) -> Shape:
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    return Shape(
        hidden,
        config["num_hidden_layers"],
        config["intermediate_size"],
        heads,
        config.get("num_key_value_heads", heads),
        config.get("head_dim") or hidden // heads,
        config["vocab_size"],
        norms=4 if config["model_type"].startswith("gemma") else 2,
        embeddings=1 if config.get("tie_word_embeddings", True) else 2,
    )
