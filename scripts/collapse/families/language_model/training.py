"""Train a language model on packed documents."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from torch import Tensor

from collapse.artifacts.step import Step
from collapse.families.language_model import Parameters, first_tokens, models
from collapse.families.language_model.packing import Packer
from collapse.families.step_jobs import TrainJob
from collapse.text import checkpoints, stored_tokens
from collapse.text.next_tokens import NextTokens
from collapse.text.stored_tokens import Tokens
from collapse.training import distributed, trainer
from collapse.training.optimisation import Optimisation, planned


def train(
    job: TrainJob[Parameters],
    documents: Iterable[pa.Table],
    *,
    test: Iterable[pa.Table],
    tokenizer: Path,
) -> dict[str, Any]:
    """Train a new model, or that before, and save it in the format of Hugging Face.

    Returns
    -------
    dict
        Numbers of parameters, documents, tokens and updates, and the learning curve.
    """
    with distributed.joined() as ranks:
        if ranks.first:
            stored_tokens.store(documents, job.scratch)
        ranks.wait()
        stored = stored_tokens.mapped(job.scratch)
        packer = Packer(
            stored,
            job.parameters.context,
            job.parameters.batch,
            lambda epoch: job.step.stream(f"order of epoch {epoch}"),
            whole=ranks.device.type == "cuda",
        )
        network = _starting(job)
        optimisation = _optimisation(job.step, job.parameters, packer.steps_per_epoch)
        noise = job.step.integer("noise")
        curve = trainer.train(
            Pretraining(network, packer, stored_tokens.in_memory(test)),
            optimisation,
            state=job.scratch,
            fingerprint=job.fingerprint,
            seed_of=lambda number: noise + number,
        )
        if ranks.first:
            checkpoints.save(network.to("cpu"), job.model, tokenizer)
            first_tokens.write(stored.tokens, stored.bounds, job.model)
    return {
        "parameters": checkpoints.parameter_count(network),
        "documents": len(stored.lengths),
        "tokens": int(stored.bounds[-1]),
        "steps": optimisation.steps,
        "curve": [point._asdict() for point in curve],
    }


def _starting(job: TrainJob[Parameters]) -> Any:
    """Return the model that the training starts from."""
    if job.previous is not None:
        return checkpoints.read(job.previous)
    seed = job.step.integer("initialisation")
    return models.initialised(job.parameters.model, job.parameters.vocabulary, seed)


def _optimisation(step: Step, parameters: Parameters, steps_per_epoch: int) -> Optimisation:
    epochs = parameters.epochs
    if step.iteration == 1 and parameters.first_epochs is not None:
        epochs = parameters.first_epochs
    return planned(
        parameters,
        max(1, round(epochs * steps_per_epoch)),
        weight_decay=parameters.weight_decay,
        betas=(0.9, 0.95),
        precision=parameters.precision,
    )


class Pretraining(NextTokens):
    """The training task: predict the next tokens of packed documents."""

    def __init__(self, model: torch.nn.Module, packer: Packer, test: Tokens) -> None:
        super().__init__(model, test)
        self._packer = packer

    def batch(self, step: int) -> dict[str, Tensor]:
        return self._packer.batch(step)
