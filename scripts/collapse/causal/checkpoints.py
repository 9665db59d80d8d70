"""Checkpoints of causal language models, as Hugging Face's classes load them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers

from collapse.errors import JobError


def load(model: Path) -> Any:
    """Load a checkpoint for evaluation, in 32 bits.

    Raises
    ------
    JobError
        If weights are missing or don't have the shapes that the configuration says.
    """
    try:
        network, found = transformers.AutoModelForCausalLM.from_pretrained(
            model,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,  # they are found below
            output_loading_info=True,
        )
    except Exception as error:  # every library below has its own
        reason = " ".join(str(error).split())[:200]
        raise JobError(f"{model}: the checkpoint can't be loaded ({reason})") from None
    for problem in ("missing_keys", "mismatched_keys", "unexpected_keys"):
        if found[problem]:
            raise JobError(
                f"{model}: the checkpoint doesn't match its configuration "
                f"({problem.replace('_', ' ')}: {sorted(map(str, found[problem]))[0]})"
            )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return network.to(device).eval()


def parameter_count(model: torch.nn.Module) -> int:
    """Number of parameters, tied ones once."""
    return sum(parameter.numel() for parameter in model.parameters())
