"""Build the models from configurations of transformers."""

from __future__ import annotations

from typing import Any

import torch

from collapse.data.text.tokenizing import BOS, EOS, PAD
from collapse.families.language_model.architectures import ARCHITECTURES
from collapse.text.library import transformers


def configuration(name: str, vocabulary: int) -> Any:
    """Return the transformers configuration of a model."""
    shape = ARCHITECTURES[name]
    common = {
        "vocab_size": vocabulary,
        "bos_token_id": BOS,
        "eos_token_id": EOS,
        "pad_token_id": PAD,
        "attn_implementation": "sdpa",
    }
    if shape.kind == "gpt2":
        return transformers.GPT2Config(
            n_embd=shape.hidden,
            n_layer=shape.layers,
            n_head=shape.heads,
            n_inner=shape.feed_forward,
            n_positions=shape.positions,
            # Training for one epoch sees no data twice and needs no dropout.
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            **common,
        )
    return transformers.LlamaConfig(
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        intermediate_size=shape.feed_forward,
        max_position_embeddings=shape.positions,
        tie_word_embeddings=False,
        **common,
    )


def initialised(name: str, vocabulary: int, seed: int) -> Any:
    """Return a model with randomly initialised weights, which depend on the seed alone."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return transformers.AutoModelForCausalLM.from_config(configuration(name, vocabulary))
