"""The optimiser of all trainings."""

from __future__ import annotations

import torch

from collapse.training.optimisation import Optimisation


def optimiser(
    parameters: list[torch.nn.Parameter], optimisation: Optimisation
) -> torch.optim.Optimizer:
    """Return AdamW that decays only matrices: a bias or norm near 0 makes no simpler model."""
    groups = [
        {
            "params": [p for p in parameters if p.ndim >= 2],
            "weight_decay": optimisation.weight_decay,
        },
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    # The fused version makes one pass over memory instead of twelve, in a third of the time.
    return torch.optim.AdamW(
        groups, lr=optimisation.learning_rate, betas=optimisation.betas, fused=True
    )
