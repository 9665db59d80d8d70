"""Train a language model from scratch on packed documents."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from collapse.artifacts import files, remedies
from collapse.artifacts.step import Step
from collapse.families.language_model import Parameters, models
from collapse.families.language_model.packing import Packer
from collapse.families.step_jobs import TrainJob
from collapse.text import checkpoints, stored_tokens
from collapse.text.next_tokens import NextTokens
from collapse.text.stored_tokens import Tokens
from collapse.training import distributed, trainer
from collapse.training.optimisation import Optimisation, planned

FIRST_TOKENS = "first_tokens.json"


def train(
    job: TrainJob[Parameters],
    documents: Iterable[pa.Table],
    *,
    test: Iterable[pa.Table],
    tokenizer: Path,
) -> dict[str, Any]:
    """Train a newly initialised model and save it in the format of Hugging Face.

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
        network = models.initialised(
            job.parameters.model, job.parameters.vocabulary, job.step.integer("initialisation")
        )
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
            _write_first_tokens(stored, job.model)
    return {
        "parameters": checkpoints.parameter_count(network),
        "documents": len(stored.lengths),
        "tokens": int(stored.bounds[-1]),
        "steps": optimisation.steps,
        "curve": [point._asdict() for point in curve],
    }


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


class FirstTokens(NamedTuple):
    """The distribution of the first tokens of a training set."""

    tokens: NDArray[np.int64]
    cumulative: NDArray[np.float64]

    def at(self, uniform: float) -> int:
        """Return the quantile of the distribution at a number in [0, 1)."""
        return int(self.tokens[np.searchsorted(self.cumulative, uniform, side="right")])


def _write_first_tokens(documents: Tokens, model: Path) -> None:
    first = documents.tokens[np.minimum(documents.bounds[:-1] + 1, len(documents.tokens) - 1)]
    found, counts = np.unique(first, return_counts=True)
    content = {"tokens": found.tolist(), "counts": counts.tolist()}
    files.write_text(model / FIRST_TOKENS, json.dumps(content) + "\n")


def read_first_tokens(model: Path) -> FirstTokens:
    """Read the distribution of first tokens of the documents that a model was trained on."""
    with remedies.reading(model, f"{FIRST_TOKENS} can't be read"):
        content = json.loads((model / FIRST_TOKENS).read_text(encoding="utf-8"))
        counts = np.array(content["counts"], dtype=np.float64)
        cumulative = np.cumsum(counts) / counts.sum()
        cumulative[-1] = 1.0
        return FirstTokens(np.array(content["tokens"]), cumulative)
