"""Checkpoints of causal language models, as Hugging Face's classes load them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch

from collapse.artifacts import remedies
from collapse.text.library import transformers


def configuration(model: Path) -> Any:
    """Read the configuration of a checkpoint.

    Raises
    ------
    DamagedFileError
        If there is none, or none that transformers knows without code from elsewhere.
    """
    with remedies.reading(model, "the configuration can't be loaded"):
        return transformers.AutoConfig.from_pretrained(
            model, local_files_only=True, trust_remote_code=False
        )


def attention(configuration: Any) -> str:
    """Return the name of an implementation of attention that follows a configuration.

    That of torch silently leaves out the soft-capping of scores that Gemma-2 was trained with.
    """
    capped = getattr(configuration, "attn_logit_softcapping", None) is not None
    return "eager" if capped else "sdpa"


def read(model: Path, dtype: torch.dtype = torch.float32, *, device: str = "cpu") -> Any:
    """Load a checkpoint on the CPU, or on the meta device without its weights.

    Its settings of generation are not used, some of which could not be saved again.

    Raises
    ------
    DamagedFileError
        If the checkpoint can't be loaded, or its weights don't match its configuration.
    """
    described = configuration(model)
    transformers.utils.logging.disable_progress_bar()  # it would fill log files
    with remedies.reading(model, "the checkpoint can't be loaded"):
        network, found = transformers.AutoModelForCausalLM.from_pretrained(
            model,
            config=described,
            dtype=dtype,
            attn_implementation=attention(described),
            # Only this makes transformers leave the weights unread.
            device_map=device if device == "meta" else None,
            generation_config=transformers.GenerationConfig(**_ends(described)),
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,  # they are reported below
            output_loading_info=True,
        )
    for problem in ("missing_keys", "mismatched_keys", "unexpected_keys"):
        if found[problem]:
            raise remedies.damaged(
                model,
                "the checkpoint doesn't match its configuration "
                f"({problem.replace('_', ' ')}: {sorted(map(str, found[problem]))[0]})",
            )
    return network


def _ends(configuration: Any) -> dict[str, Any]:
    """Return the ids of special tokens that a configuration names."""
    names = ("pad_token_id", "bos_token_id", "eos_token_id")
    return {name: getattr(configuration, name, None) for name in names}


def outline(model: Path, dtype: torch.dtype = torch.float32) -> Any:
    """Return the model of a checkpoint on the meta device, that is, without its weights."""
    described = configuration(model)
    with torch.device("meta"):
        return transformers.AutoModelForCausalLM.from_config(
            described, dtype=dtype, attn_implementation=attention(described)
        )


def save(network: Any, model: Path, tokenizer: Path, weights: Any = None) -> None:
    """Write a checkpoint as Hugging Face's classes load it, with a saved tokenizer.

    ``weights`` are the gathered weights of a sharded network (`sharding.whole_state`).
    """
    network.save_pretrained(model, state_dict=weights)
    for file in tokenizer.iterdir():
        shutil.copyfile(file, model / file.name)


def load(model: Path, dtype: torch.dtype = torch.float32) -> Any:
    """Load a checkpoint for evaluation, on a GPU if there is one; see `read`."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return read(model, dtype).to(device).eval()


def parameter_count(model: torch.nn.Module) -> int:
    """Return the number of parameters; tied ones count once."""
    return sum(parameter.numel() for parameter in model.parameters())
