"""Whether a checkpoint can be trained as a causal language model, found before it is trained."""

from __future__ import annotations

import copy
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from collapse.data.reading import reading
from collapse.errors import JobError
from collapse.text import checkpoints
from collapse.text.library import transformers

#: Largest number of parameters of a model that is checked as it is; a larger one is made smaller.
_SMALL = 5e7
#: What a larger model is reduced to: none of it decides what a token attends to.
_REDUCED = {"vocab_size": 64, "intermediate_size": 64, "num_hidden_layers": 2}
#: Number of tokens that the model is asked about.
_LENGTH = 8


def check(model: Path) -> None:
    """Check that a checkpoint is whole, causal, and can be written again.

    Its weights are not read: what a token attends to follows from the configuration.

    Raises
    ------
    JobError
        If it can't be trained; the message says in one line why not.
    """
    with reading(model, "can't be trained as a causal language model"):
        checkpoints.outline(model)  # whether the architecture is known, and its attention
    outline = checkpoints.read(model, device="meta")
    with reading(model, "can't be trained as a causal language model"):
        with tempfile.TemporaryDirectory() as folder:
            outline.save_pretrained(folder, state_dict={})
            checkpoints.configuration(Path(folder))
        if not _is_causal(outline):
            raise JobError(
                f"{model}: found {type(outline).__name__} whose tokens attend to later ones, "
                "expected a causal language model"
            )


def _is_causal(outline: Any) -> bool:
    """Tell whether no token changes what a model with random weights predicts before it."""
    described = outline.config
    if checkpoints.parameter_count(outline) > _SMALL:
        with suppress(Exception):  # an architecture of which these parts can't be reduced
            return _probed(_reduced(described))
    return _probed(described)


def _reduced(described: Any) -> Any:
    """Return the configuration of a smaller model of the same architecture."""
    smaller = copy.deepcopy(described)
    text = smaller.get_text_config()
    for name, most in _REDUCED.items():
        if isinstance(given := getattr(text, name, None), int):
            setattr(text, name, min(given, most))
    if getattr(text, "layer_types", None):
        text.layer_types = text.layer_types[: text.num_hidden_layers]
    for name in ("pad_token_id", "bos_token_id", "eos_token_id"):
        setattr(text, name, None)
    return smaller


def _probed(described: Any) -> bool:
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        network = transformers.AutoModelForCausalLM.from_config(
            described,
            dtype=torch.float32,
            attn_implementation=checkpoints.attention(described),
        ).eval()
        tokens = torch.arange(1, _LENGTH + 1).repeat(2, 1)
        tokens[1, -1] += 1
        logits = network(input_ids=tokens, use_cache=False).logits
        change = (logits[0] - logits[1]).abs().amax(dim=-1)
        return bool(change[:-1].max() <= 1e-6 * change[-1])
